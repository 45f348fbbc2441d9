package smtpin

import (
	"net"
	"testing"
)

// TestReadyListeners: a listener that was opened for the server stands for its
// address, another one is served as well, and both outlive a reload.
func TestReadyListeners(t *testing.T) {
	t.Parallel()
	open := func() net.Listener {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	wanted, other := open(), open()
	o := Options{Handler: &recorder{}, Listen: Listen{SMTP: []string{wanted.Addr().String()}, Ready: []net.Listener{wanted, other}}}
	s := start(t, o)
	check := func() {
		t.Helper()
		if got := s.Addresses(); len(got) != 2 || got[0].Addr != wanted.Addr().String() || got[1].Addr != other.Addr().String() {
			t.Fatalf("%v", got)
		}
		for _, l := range []net.Listener{wanted, other} {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			a := newApp(t, c)
			a.expect("220")
			c.Close()
		}
	}
	check()
	if err := s.Reload(o); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestAReadyListenerBeyondLoopbackNeedsALogin(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{Handler: &recorder{}, Listen: Listen{SMTP: []string{"127.0.0.1:0"}, Ready: []net.Listener{l}}})
	if err == nil {
		t.Fatal("it was served without a login")
	}
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("the listener is still open")
	}
}
