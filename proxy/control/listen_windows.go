package control

import "net"

// private trusts the access list that a directory in the user's profile has.
func private(string) error { return nil }

// sameUser trusts the directory's access list: the platform does not tell the
// user at the other end of a unix socket.
func sameUser(net.Conn) bool { return true }
