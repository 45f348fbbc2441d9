package network

import "testing"

// Where changes are reported, to ask for the state takes no lock: who asks waits
// for nobody who looks.
func TestStateTakesNoLock(t *testing.T) {
	t.Parallel()
	f := &fake{state: home}
	w, err := newWatcher(Options{}, f.platform(true))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.State(); s != home {
		t.Errorf("%+v", s)
	}
}
