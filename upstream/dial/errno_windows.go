package dial

import "golang.org/x/sys/windows"

// What the system says when a connection cannot be made (Windows Sockets).
const (
	errRefused      = windows.WSAECONNREFUSED
	errReset        = windows.WSAECONNRESET
	errPipe         = windows.WSAECONNABORTED
	errNetUnreach   = windows.WSAENETUNREACH
	errNetDown      = windows.WSAENETDOWN
	errHostUnreach  = windows.WSAEHOSTUNREACH
	errTimedOut     = windows.WSAETIMEDOUT
	errAddrNotAvail = windows.WSAEADDRNOTAVAIL
)
