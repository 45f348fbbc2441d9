//go:build realmail

package realmail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// direct sends a message to the provider from the local address, without
// Melon, and returns the provider's refusal.
func direct(ctx context.Context, p *provider, local, to string) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	conn, err := dialer.DialContext(ctx, "tcp", p.smtpAddr())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	c, err := smtp.NewClient(conn, "laptop")
	if err != nil {
		return err
	}
	if err := errors.Join(c.Mail("taro@"+p.domain), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Received: from nobody\r\nSubject: direct\r\n\r\nhello\r\n")
	return errors.Join(w.Close(), c.Quit())
}

// popLogin logs in by POP3 from the local address and leaves.
func popLogin(t testing.TB, p *provider, local string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	conn, err := dialer.DialContext(within(t), "tcp", p.popAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	for _, command := range []string{"", "USER taro\r\n", "PASS " + password + "\r\n", "QUIT\r\n"} {
		if _, err := conn.Write([]byte(command)); err != nil {
			t.Fatal(err)
		}
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "+OK") {
			t.Fatalf("%q: %q, %v", command, line, err)
		}
	}
}

// wantRefused fails the test unless err is the refusal to relay.
func wantRefused(t testing.TB, err error) {
	t.Helper()
	var reply *textproto.Error
	if !errors.As(err, &reply) || reply.Code != 554 || !strings.Contains(reply.Msg, "Relay access denied") {
		t.Fatalf("got %v, want 554 Relay access denied", err)
	}
}

// The provider itself, without Melon: its POP before SMTP is genuine. It
// refuses to relay without a login, and to any address but the one that logged
// in, and no longer than its window.
func TestRealProviderPOPBeforeSMTP(t *testing.T) {
	t.Parallel()
	const here, there = "127.0.0.1", "127.0.0.2"
	const to = "hanako@elsewhere.example"
	p := startProvider(t, providerOptions{domain: "pbs.example", pbs: true})
	ctx := within(t)
	wantRefused(t, direct(ctx, p, here, to))
	popLogin(t, p, here)
	if err := direct(ctx, p, here, to); err != nil {
		t.Fatalf("after the POP login: %v", err)
	}
	p.mailbox.one(t, to)
	wantRefused(t, direct(ctx, p, there, to))
	p.passTime(t, here, window-time.Minute)
	if err := direct(ctx, p, here, to); err != nil {
		t.Fatalf("inside the window: %v", err)
	}
	p.passTime(t, here, 2*time.Minute)
	wantRefused(t, direct(ctx, p, here, to))
	p.wantPOPLogins(t, 1, "by hand")
}
