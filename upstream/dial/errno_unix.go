//go:build !windows

package dial

import "syscall"

// What the system says when a connection cannot be made.
const (
	errRefused      = syscall.ECONNREFUSED
	errReset        = syscall.ECONNRESET
	errPipe         = syscall.EPIPE
	errNetUnreach   = syscall.ENETUNREACH
	errNetDown      = syscall.ENETDOWN
	errHostUnreach  = syscall.EHOSTUNREACH
	errTimedOut     = syscall.ETIMEDOUT
	errAddrNotAvail = syscall.EADDRNOTAVAIL
)
