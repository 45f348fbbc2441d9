package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// pipe returns a Conn over net.Pipe and its far end.
func pipe() (*Conn, net.Conn) {
	near, far := net.Pipe()
	return newConn(near, &Dialer{}, target("mail.example", nil)), far
}

// TestStep: each Read and each Write may take the step's time, and no more.
func TestStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe()
		defer far.Close()
		defer c.Close()
		took := func(f func() error) time.Duration {
			t.Helper()
			start := time.Now()
			if err := f(); !isTimeout(err) {
				t.Errorf("%v is no time-out", err)
			}
			return time.Since(start)
		}
		read := func() error { _, err := c.Read(make([]byte, 1)); return err }
		write := func() error { _, err := c.Write([]byte("x")); return err }
		c.SetStep(2 * time.Second)
		got := []time.Duration{took(read), took(write), took(read)}
		c.SetDeadline(time.Now().Add(time.Second))
		got = append(got, took(read), took(write))
		c.SetDeadline(time.Time{})
		c.SetStep(0)
		got = append(got, took(write))
		c.SetReadDeadline(time.Now().Add(time.Minute)) // later than the step
		c.SetWriteDeadline(time.Now().Add(4 * time.Second))
		got = append(got, took(read), took(write))
		want := []time.Duration{2e9, 2e9, 2e9, 1e9, 0, 30e9, 30e9, 0}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

// TestUse: the end of the context ends what is under way, and what comes later.
func TestUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe()
		defer far.Close()
		defer c.Close()
		past, cancelPast := context.WithCancel(t.Context())
		done := c.Use(past)
		done()
		done()
		cancelPast() // too late to matter
		ctx, cancel := context.WithCancel(t.Context())
		done = c.Use(ctx)
		failed := make(chan error, 2)
		go func() { _, err := c.Read(make([]byte, 1)); failed <- err }()
		go func() { _, err := c.Write([]byte("x")); failed <- err }()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		done()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := c.SetDeadline(time.Time{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if e := c.Fault(upstream.PhaseMail, context.Canceled); e.Class != upstream.ClassOther || e.Phase != upstream.PhaseMail {
			t.Error(e)
		}
	})
}

// TestUseInsideTLS: the same above TLS, and Close does not wait for a peer that
// reads nothing.
func TestUseInsideTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cert := ours.issue(t, certOptions{names: []string{"mail.example"}})
	now := time.Now() // the bubble lives in the year 2000
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		shaken := make(chan error)
		go func() {
			shaken <- tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}).Handshake()
		}()
		d := &Dialer{RootCAs: ours.pool, Now: func() time.Time { return now }}
		c := newConn(near, d, target("mail.example", nil))
		if err := c.StartTLS(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		done := c.Use(ctx)
		start := time.Now()
		_, err := c.Read(make([]byte, 1))
		done()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		wantError(t, c.Fault(upstream.PhaseAuth, err), upstream.ClassServerUnreachable, upstream.PhaseAuth, "did not answer in time")
		c.Close()
		c.Close()
		if time.Since(start) != 3*time.Second {
			t.Errorf("closing took %v", time.Since(start)-3*time.Second)
		}
	})
}

func TestFault(t *testing.T) {
	t.Parallel()
	own := &upstream.Error{Class: upstream.ClassRateLimited}
	for _, tc := range []struct {
		err      error
		offline  bool
		class    upstream.Class
		sentence string
	}{
		{io.EOF, false, upstream.ClassServerBroken, "mail.example (port 25) closed the connection"},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), false, upstream.ClassServerBroken, "closed the connection"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", errReset)}, false, upstream.ClassServerBroken, "broke the connection off"},
		{&net.OpError{Op: "write", Err: os.NewSyscallError("write", errPipe)}, false, upstream.ClassServerBroken, "broke the connection off"},
		{os.ErrDeadlineExceeded, false, upstream.ClassServerUnreachable, "did not answer in time"},
		{os.ErrDeadlineExceeded, true, upstream.ClassOffline, "went away"},
		{&net.OpError{Op: "write", Err: errNetUnreach}, false, upstream.ClassOffline, "went away"},
		{context.Canceled, true, upstream.ClassOther, "given up"},
		{net.ErrClosed, false, upstream.ClassOther, "was closed"},
		{errors.New("a line of 2 MB"), false, upstream.ClassServerBroken, "failed"},
		{fmt.Errorf("x: %w", own), false, upstream.ClassRateLimited, ""},
	} {
		c := newConn(nil, &Dialer{Offline: func() bool { return tc.offline }}, target("mail.example", nil))
		phase := upstream.PhaseData
		if errors.Is(tc.err, own) {
			phase = ""
		}
		wantError(t, c.Fault(upstream.PhaseData, tc.err), tc.class, phase, tc.sentence)
	}
	c := newConn(nil, &Dialer{}, target("mail.example", nil))
	if c.Fault(upstream.PhaseData, nil) != nil {
		t.Error("no error is no fault")
	}
}

// TestPinOnLoopback makes two real connections with one Pin: the second is bound
// to the local address of the first.
func TestPinOnLoopback(t *testing.T) {
	t.Parallel()
	ip, port := serve(t, hold)
	pin := NewPin(ip)
	d := &Dialer{}
	for range 2 {
		c, err := d.Dial(t.Context(), Target{Server: upstream.Server{Host: ip, Port: port}, Pin: pin})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != pin.Local().String() || c.RemoteAddr().(*net.TCPAddr).Port != port {
			t.Errorf("from %s to %s, pinned to %s", got, c.RemoteAddr(), pin.Local())
		}
		c.Close()
	}
}
