//go:build linux || darwin || freebsd

package outbox

import (
	"math"

	"golang.org/x/sys/unix"
)

// Free implements FS.
func (OS) Free(name string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return 0, err
	}
	blocks, size := int64(st.Bavail), int64(st.Bsize)
	if blocks > math.MaxInt64/max(size, 1) {
		return math.MaxInt64, nil
	}
	return max(blocks, 0) * size, nil
}
