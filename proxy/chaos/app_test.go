//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// patience bounds an app's wait for one answer. Melon answers within 10 s; a
// busy machine gets some more.
const patience = 40 * time.Second

// kinds are the kinds of app, and how often each comes along.
var kinds = []struct {
	name   string
	weight int
	send   func(s *session, m *message) error
}{
	{"plain", 30, (*session).plain},
	{"pipelining", 20, (*session).pipelining},
	{"bdat", 20, (*session).chunks},
	{"crowd", 8, (*session).plain}, // many recipients
	{"crowd-pipelining", 6, (*session).pipelining},
	{"slow", 5, (*session).slow},
	{"quitter", 6, (*session).quitter},
	{"bdat-quitter", 3, (*session).chunkQuitter},
	{"deaf", 2, (*session).deaf},
}

// message is one that is about to be handed in.
type message struct {
	*handed
	rcpts []string
	body  []byte // CRLF line ends throughout, the last line ended
}

// newMessage makes a message out of random lines, those that begin with dots and
// those that look like commands among them.
func newMessage(rng *rand.Rand, token, kind string, senders []string) *message {
	from := senders[rng.IntN(len(senders))]
	n := 1
	switch {
	case strings.HasPrefix(kind, "crowd"):
		n = 4 + rng.IntN(30)
	case rng.IntN(4) == 0:
		n = 2 + rng.IntN(2)
	}
	m := &message{handed: &handed{token: token, from: from, kind: kind, to: map[string]told{}}}
	for i := range n {
		m.rcpts = append(m.rcpts, fmt.Sprintf("r%d@elsewhere%d.example", i, rng.IntN(9)))
	}
	size := rng.IntN(6 << 10)
	if rng.IntN(300) == 0 {
		size = 200<<10 + rng.IntN(600<<10)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: a message\r\nMessage-ID: <%s@apps.example>\r\n%s%s\r\n\r\n", from, m.rcpts[0], token, tokenField, token)
	for b.Len() < size {
		switch rng.IntN(12) {
		case 0:
			b.WriteString(strings.Repeat(".", rng.IntN(4)) + "\r\n")
		case 1:
			b.WriteString("QUIT\r\nRSET\r\nBDAT 7 LAST\r\n")
		case 2:
			b.WriteString(".x\r\n")
		default:
			line := make([]byte, rng.IntN(120))
			for i := range line {
				line[i] = byte(' ' + rng.IntN(95))
			}
			b.Write(line)
			b.WriteString("\r\n")
		}
	}
	m.body = b.Bytes()
	m.sum = sha256.Sum256(m.body)
	return m
}

// tokenField begins the header field that holds a message's token.
const tokenField = "X-Chaos: "

// tokenOf finds the token in the beginning of a message.
func tokenOf(data []byte) string {
	_, rest, ok := bytes.Cut(data, []byte("\r\n"+tokenField))
	if !ok {
		return ""
	}
	token, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(token)
}

// all writes one outcome for every recipient that has none yet.
func (m *message) all(t told) {
	for _, r := range m.rcpts {
		if _, ok := m.to[r]; !ok {
			m.to[r] = t
		}
	}
}

// refused is the outcome of a reply that is no 250.
func refused(code int) told {
	if code >= 500 {
		return refused5
	}
	return refused4
}

// session is one connection of an app.
type session struct {
	c   net.Conn
	r   *bufio.Reader
	ctx context.Context
	rng *rand.Rand
}

// errGone is an app that went away on purpose.
var errGone = errors.New("the app went away")

func openSession(ctx context.Context, addr string, rng *rand.Rand) (*session, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &session{c: c, r: bufio.NewReader(c), ctx: ctx, rng: rng}
	if _, err := s.reply(); err == nil {
		_, err = s.cmd("EHLO app.example")
		if err == nil {
			return s, nil
		}
	}
	c.Close()
	return nil, err
}

// reply reads one reply.
func (s *session) reply() (code int, err error) {
	_ = s.c.SetReadDeadline(time.Now().Add(patience))
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if len(line) < 4 {
			return 0, fmt.Errorf("no reply: %q", line)
		}
		if line[3] == ' ' {
			_, err := fmt.Sscanf(line, "%d", &code)
			return code, err
		}
	}
}

func (s *session) write(b []byte) error {
	_ = s.c.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.c.Write(b)
	return err
}

func (s *session) cmd(line string) (code int, err error) {
	if err := s.write([]byte(line + "\r\n")); err != nil {
		return 0, err
	}
	return s.reply()
}

// envelope says MAIL and RCPT, waiting for each answer. go is false when there
// is nobody to send to.
func (s *session) envelope(m *message) (goOn bool, err error) {
	code, err := s.cmd("MAIL FROM:<" + m.from + ">")
	if err != nil || code != 250 {
		m.all(refusedOr(code, err))
		return false, err
	}
	taken := 0
	for _, r := range m.rcpts {
		code, err := s.cmd("RCPT TO:<" + r + ">")
		if err != nil {
			m.all(left)
			return false, err
		}
		if code == 250 {
			taken++
		} else {
			m.to[r] = refused(code)
		}
	}
	if taken == 0 {
		_, err = s.cmd("RSET")
	}
	return taken > 0, err
}

func refusedOr(code int, err error) told {
	if err != nil {
		return left
	}
	return refused(code)
}

// last writes the last piece of a message and hears the answer.
func (s *session) last(m *message, piece []byte) error {
	if err := s.write(piece); err != nil {
		m.all(untold) // some of it may have left, the end too
		return err
	}
	code, err := s.reply()
	switch {
	case err != nil:
		m.all(untold)
	case code == 250:
		m.all(accepted)
	default:
		m.all(refused(code))
	}
	return err
}

// dotted returns the body as DATA wants it.
func dotted(body []byte) []byte {
	b := bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(b, []byte(".")) {
		b = append([]byte("."), b...)
	}
	return append(b[:len(b):len(b)], ".\r\n"...)
}

// plain waits for every answer.
func (s *session) plain(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	code, err := s.cmd("DATA")
	if err != nil || code != 354 {
		m.all(refusedOr(code, err))
		return err
	}
	return s.last(m, dotted(m.body))
}

// pipelining sends the whole envelope at once (RFC 2920).
func (s *session) pipelining(m *message) error {
	var b strings.Builder
	fmt.Fprintf(&b, "MAIL FROM:<%s>\r\n", m.from)
	for _, r := range m.rcpts {
		fmt.Fprintf(&b, "RCPT TO:<%s>\r\n", r)
	}
	b.WriteString("DATA\r\n")
	if err := s.write([]byte(b.String())); err != nil {
		m.all(left)
		return err
	}
	mail, err := s.reply()
	for _, r := range m.rcpts {
		var code int
		if err == nil {
			code, err = s.reply()
		}
		if err == nil && mail != 250 {
			code = mail
		}
		if err == nil && code != 250 {
			m.to[r] = refused(code)
		}
	}
	data := 0
	if err == nil {
		data, err = s.reply()
	}
	switch {
	case err != nil:
		m.all(left)
		return err
	case data != 354:
		m.all(refused(data))
		_, err := s.cmd("RSET")
		return err
	}
	return s.last(m, dotted(m.body))
}

// chunks sends the message with BDAT (RFC 3030), all chunks at once.
func (s *session) chunks(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	rest := m.body
	sent := 0
	var b bytes.Buffer
	for range s.rng.IntN(4) {
		n := s.rng.IntN(len(rest) + 1)
		fmt.Fprintf(&b, "BDAT %d\r\n", n)
		b.Write(rest[:n])
		rest = rest[n:]
		sent++
	}
	fmt.Fprintf(&b, "BDAT %d LAST\r\n", len(rest))
	b.Write(rest)
	if err := s.write(b.Bytes()); err != nil {
		m.all(untold)
		return err
	}
	// A refused chunk refuses the message; its answer is the first one that
	// says so, and the rest is answered all the same.
	verdict := 250
	for range sent + 1 {
		code, err := s.reply()
		if err != nil {
			if verdict == 250 {
				m.all(untold)
			} else {
				m.all(refused(verdict))
			}
			return err
		}
		if code != 250 && verdict == 250 {
			verdict = code
		}
	}
	if verdict != 250 {
		m.all(refused(verdict))
		_, err := s.cmd("RSET")
		return err
	}
	m.all(accepted)
	return nil
}

// slow dribbles.
func (s *session) slow(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	code, err := s.cmd("DATA")
	if err != nil || code != 354 {
		m.all(refusedOr(code, err))
		return err
	}
	rest := dotted(m.body)
	for range 20 {
		n := min(len(rest)-1, 1+s.rng.IntN(200))
		if n <= 0 {
			break
		}
		if err := s.write(rest[:n]); err != nil {
			m.all(left)
			return err
		}
		rest = rest[n:]
		pause(s.ctx, time.Duration(s.rng.IntN(10))*time.Millisecond)
	}
	return s.last(m, rest)
}

// quitter goes away in the middle of the message.
func (s *session) quitter(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	code, err := s.cmd("DATA")
	if err != nil || code != 354 {
		m.all(refusedOr(code, err))
		return err
	}
	m.all(left)
	all := dotted(m.body)
	// Never the last octet: a message without the dot's own CRLF is not whole.
	if err := s.write(all[:s.rng.IntN(len(all)-1)]); err != nil {
		return err
	}
	s.goAway()
	return errGone
}

// chunkQuitter goes away within the last chunk.
func (s *session) chunkQuitter(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	m.all(left)
	piece := fmt.Appendf(nil, "BDAT %d LAST\r\n", len(m.body))
	piece = append(piece, m.body[:s.rng.IntN(len(m.body))]...)
	if err := s.write(piece); err != nil {
		return err
	}
	s.goAway()
	return errGone
}

// deaf sends all of it and does not wait for the answer.
func (s *session) deaf(m *message) error {
	if ok, err := s.envelope(m); err != nil || !ok {
		return err
	}
	code, err := s.cmd("DATA")
	if err != nil || code != 354 {
		m.all(refusedOr(code, err))
		return err
	}
	m.all(untold)
	if err := s.write(dotted(m.body)); err != nil {
		return err
	}
	s.goAway()
	return errGone
}

// goAway ends the connection, politely, with half a close, or with a reset.
func (s *session) goAway() {
	tc := s.c.(*net.TCPConn)
	switch s.rng.IntN(3) {
	case 0:
		_ = tc.SetLinger(0)
	case 1:
		_ = tc.CloseWrite()
		_ = tc.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, tc)
	}
	tc.Close()
}
