package smtpin

import "golang.org/x/sys/windows"

// errNotHere is what a system without the address family says.
const errNotHere = windows.WSAEAFNOSUPPORT
