package outbox

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// looking is a file system on which somebody looks at the outbox in the moment
// between the end of an entry's state and that of its place in the index.
type looking struct {
	OS
	look atomic.Pointer[func()]
}

// Remove implements FS.
func (l *looking) Remove(name string) error {
	err := l.OS.Remove(name)
	if look := l.look.Load(); look != nil && strings.HasSuffix(name, ".json") {
		(*look)()
	}
	return err
}

// TestListWhileAnEntryEnds: an entry that is just delivered, or removed by the
// person, is no broken one.
func TestListWhileAnEntryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fsys := &looking{}
		r := newRig(t, Options{FS: fsys})
		looks := 0
		look := func() {
			looks++
			if list, err := r.List(); err != nil || len(list) > 1 {
				t.Errorf("%v, %v", list, err)
			}
		}
		fsys.look.Store(&look)
		r.Pause() // so that it is a file
		r.keepN(1)
		r.Resume()
		synctest.Wait()
		r.Pause()
		kept := r.keepN(1)
		if err := r.Remove(kept[0]); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if looks != 2 {
			t.Errorf("looked %d times", looks)
		}
		if p := r.Problems(); len(p) != 0 {
			t.Errorf("problems: %+v", p)
		}
		if left, _ := filepath.Glob(filepath.Join(r.dir, unreadable, "*")); len(left) != 0 {
			t.Errorf("set aside: %v", left)
		}
	})
}
