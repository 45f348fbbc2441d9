//go:build unix

package web

import "io/fs"

// privateMode reports whether nobody but the owner may do anything.
func privateMode(m fs.FileMode) bool { return m.Perm()&0o077 == 0 }
