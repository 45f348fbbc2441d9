//go:build unix

package smtpin

import "syscall"

// errNotHere is what a system without the address family says.
const errNotHere = syscall.EAFNOSUPPORT
