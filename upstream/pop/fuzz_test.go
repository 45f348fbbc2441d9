package pop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
)

// tape is a connection to a server that says what it has to say whatever the
// client does, and hangs up.
type tape struct {
	io.Reader
	sent bytes.Buffer
}

func (t *tape) Write(b []byte) (int, error)      { return t.sent.Write(b) }
func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzReplies: whatever a server says, Open ends, in an *upstream.Error with a
// known class and a clean, bounded reply, or in a login that the server said +OK
// to; a password never leaves in clear unless that is allowed.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{
		"+OK\r\n+OK\r\n+OK\r\n", "+OK <1@x>\r\n+OK\r\n.\r\n+OK\r\n", "-ERR [IN-USE] x\r\n",
		"+OK\r\n+OK\r\nSASL PLAIN\r\nPIPELINING\r\nSTLS\r\n.\r\n+ \r\n+OK\r\n", "+OK\r\n+OK\r\n-ERR [SYS/PERM] \x1b[31m\r\n",
		"\r\n\r\n\r\n", "+OK \r\n+OK\n..\n.\n+OK\n-ERR\n",
	} {
		for i := range uint8(8) {
			f.Add([]byte(s), i)
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, settings uint8) {
		a := provider(finish([]string{"login", "stat", "list", "quit"}[settings%4]))
		a.AllowPlaintext = settings&4 != 0
		if settings&8 != 0 {
			a.POP.Security = upstream.SecurityNone
		}
		var known *Capabilities
		if settings&16 != 0 {
			known = &Capabilities{Port: 110, Pipelining: true, SASL: []string{"PLAIN"}, Method: "plain"}
		}
		conn := &tape{Reader: bytes.NewReader(said)}
		d := &dial.Dialer{DialContext: func(context.Context, string, string, string) (net.Conn, error) { return conn, nil }}
		s, err := Open(context.Background(), Options{Dialer: d, Account: a, Password: "tanstaaf", Known: known})
		sent := conn.sent.String()
		if !a.AllowPlaintext && (strings.Contains(sent, "tanstaaf") || strings.Contains(sent, b64Login)) {
			t.Errorf("sent in clear: %q", sent)
		}
		for _, c := range []string{"RETR", "TOP", "DELE", "UIDL"} {
			if strings.Contains(sent, c) {
				t.Errorf("sent %q", sent)
			}
		}
		if err == nil {
			s.Close()
			if !strings.Contains(strings.ToUpper(string(said)), "+OK") || s.LoggedInAt().IsZero() {
				t.Errorf("logged in by %q", said)
			}
			return
		}
		var e *upstream.Error
		if !errors.As(err, &e) {
			t.Fatalf("%v is no *upstream.Error", err)
		}
		if !e.Phase.IsPOP() || e.Sentence == "" || !slices.Contains(append(upstream.ReplyClasses(), upstream.NetworkClasses()...), e.Class) {
			t.Errorf("%+v", e)
		}
		for _, l := range e.Reply.Lines {
			if l != upstream.CleanLine(l) {
				t.Errorf("reply %q", l)
			}
		}
		if strings.Contains(e.Sentence, "tanstaaf") {
			t.Errorf("%q", e.Sentence)
		}
	})
}
