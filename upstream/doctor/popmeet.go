package doctor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/reply"
)

// Bounds for what a POP3 server may say before the login.
const (
	maxPOPLine = 4 << 10
	maxPOPList = 200
)

// meetPOP hears the greeting and encrypts as the account has it, without a login:
// package pop goes no shorter way than to the login.
func (x *examination) meetPOP(ctx context.Context, p *port, conn *dial.Conn) error {
	defer conn.Use(ctx)()
	conn.SetStep(portTime)
	m := &popMeeting{x: x, p: p, conn: conn, br: bufio.NewReaderSize(conn, maxPOPLine)}
	if err := m.expect(); err != nil {
		return err
	}
	err := m.encrypt(ctx)
	if err == nil {
		err = m.say("QUIT")
	}
	return err
}

// popMeeting is a POP3 conversation (RFC 1939) up to the login.
type popMeeting struct {
	x    *examination
	p    *port
	conn *dial.Conn
	br   *bufio.Reader
}

// encrypt is STLS (RFC 2595) as the account's security setting has it.
func (m *popMeeting) encrypt(ctx context.Context) error {
	security := m.p.server.Security
	if _, on := m.conn.TLS(); on {
		m.p.offered = true
		return nil
	}
	if security == upstream.SecurityNone {
		return nil
	}
	offered, err := m.offersSTLS()
	if err != nil {
		return err
	}
	m.p.offered = offered
	if !offered {
		if security == upstream.SecurityStartTLS || m.x.o.Known.POPTLS {
			return m.x.stripped(m.p)
		}
		return nil
	}
	if err := m.say("STLS"); err != nil {
		return err
	}
	if err := m.expect(); err != nil {
		return err
	}
	if err := m.conn.StartTLS(ctx, m.br.Buffered()); err != nil {
		return err
	}
	m.br = bufio.NewReaderSize(m.conn, maxPOPLine)
	return nil
}

// offersSTLS asks for the capabilities (RFC 2449). A server without CAPA may
// still know STLS, but then nobody can tell.
func (m *popMeeting) offersSTLS() (bool, error) {
	if err := m.say("CAPA"); err != nil {
		return false, err
	}
	var refused *upstream.Error
	if err := m.expect(); errors.As(err, &refused) && !refused.Reply.IsZero() {
		return false, nil
	} else if err != nil {
		return false, err
	}
	found := false
	for range maxPOPList {
		line, err := m.line()
		if err != nil {
			return false, err
		}
		if line == "." {
			return found, nil
		}
		found = found || strings.EqualFold(strings.TrimSpace(line), "STLS")
	}
	return false, m.broken(errors.New("endless list of capabilities"))
}

func (m *popMeeting) say(command string) error {
	if _, err := io.WriteString(m.conn, command+"\r\n"); err != nil {
		return m.conn.Fault(upstream.PhasePOPGreeting, err)
	}
	return nil
}

// expect reads the greeting or the answer to a command.
func (m *popMeeting) expect() error {
	line, err := m.line()
	if err != nil {
		return err
	}
	status, _, _ := strings.Cut(line, " ")
	switch strings.ToUpper(status) {
	case "+OK":
		return nil
	case "-ERR":
		r := upstream.Reply{Lines: []string{upstream.CleanLine(line)}}
		return &upstream.Error{
			Account: m.x.o.Account.Name, Host: m.conn.Addr(), Phase: upstream.PhasePOPGreeting,
			Class: reply.Classify(upstream.PhasePOPGreeting, r), Reply: r,
			Sentence: "The POP3 server " + m.conn.Addr() + " refuses.",
		}
	}
	return m.broken(errors.New("neither +OK nor -ERR"))
}

// line reads one line without its end.
func (m *popMeeting) line() (string, error) {
	b, err := m.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", m.broken(err)
	case err != nil:
		return "", m.conn.Fault(upstream.PhasePOPGreeting, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// broken is a server that does not speak POP3.
func (m *popMeeting) broken(err error) error {
	return &upstream.Error{
		Account: m.x.o.Account.Name, Host: m.conn.Addr(), Phase: upstream.PhasePOPGreeting,
		Class: upstream.ClassServerBroken, Err: err,
		Sentence: upstream.CleanLine(m.conn.Addr() + " does not answer like a POP3 server."),
	}
}
