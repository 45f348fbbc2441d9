package sendmail

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/reply"
)

const (
	// submitStep bounds each reply of the relay but the last.
	submitStep = time.Minute
	// submitEnd bounds the last reply (RFC 5321 section 4.5.3.2.6, and more).
	submitEnd = 11 * time.Minute
)

// errNoVerdict says that the relay went away before it answered: the message is
// kept for the next one.
var errNoVerdict = errors.New("the relay went away")

// sendMessage reads a message and hands it over.
func (c *Call) sendMessage(ctx context.Context, o Options, r *relay) error {
	in := newLines(c.Stdin, 64<<10, o.ignoreDots)
	header, first, err := readFields(in)
	if err != nil {
		return err
	}
	who := c.thisPerson(r)
	env := upstream.Envelope{Return: o.ret, EnvelopeID: o.envelopeID}
	to, err := recipients(o, header)
	if err == nil {
		to, err = who.local(to)
	}
	if err == nil {
		env.From, err = who.sender(o, header)
	}
	if err != nil {
		return err
	}
	for _, a := range to {
		env.Recipients = append(env.Recipients, upstream.Recipient{Address: a, Notify: o.notify})
	}
	m := &draft{}
	defer m.Close()
	if _, err := m.Write(joinHeader(who.completeHeader(header, env.From, o.name, time.Now()))); err != nil {
		return err
	}
	// A raw header beyond ASCII does not ask for it: it need not be UTF-8, and
	// goes as the program wrote it.
	env.SMTPUTF8 = slices.ContainsFunc(append(to, env.From), beyondASCII)
	if err := copyBody(m, first, in); err != nil {
		return err
	}
	if env.Size = m.size; m.eight {
		env.Body = upstream.Body8BitMIME
	}
	return c.handOver(ctx, o.verbose, r, env, m)
}

func beyondASCII(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}

// handOver gives the message to the running relay, or leaves it for the next.
func (c *Call) handOver(ctx context.Context, verbose bool, r *relay, env upstream.Envelope, m *draft) error {
	if r != nil && r.plainAddress() != "" {
		text, err := c.submit(ctx, r, env, m)
		if err == nil && verbose {
			fmt.Fprintln(c.Stdout, text)
		}
		if !errors.Is(err, errNoVerdict) {
			return err
		}
	}
	if err := drop(c.Paths.State, env, m); err != nil {
		return &Error{ExCantCreate, fmt.Errorf("the message can neither be sent nor kept: %w", err)}
	}
	return c.tellDropped(ctx)
}

// tellDropped tells a relay that a message was left: one that has started in
// the meantime, or that could not be spoken to. A relay that starts looks after
// it listens for this, so that one of the two sees the message.
func (c *Call) tellDropped(ctx context.Context) error {
	if r := c.findRelay(ctx); r != nil {
		defer r.Close()
		if err := r.Collect(ctx); err == nil {
			return nil
		}
	}
	_, err := fmt.Fprintln(c.Stderr, "melon: nothing is running; the message is kept and goes with the next: melon run")
	return err
}

// submit hands a message to the relay by SMTP. An error that is errNoVerdict
// says that there was no answer; any other is the relay's, with an exit status.
func (c *Call) submit(ctx context.Context, r *relay, env upstream.Envelope, m *draft) (text string, err error) {
	raw, err := (&net.Dialer{Timeout: submitStep}).DialContext(ctx, "tcp", r.plainAddress())
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoVerdict, err)
	}
	s := &submission{raw: raw, conn: textproto.NewConn(raw)}
	defer s.conn.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	if err := s.hello(); err != nil {
		return "", err
	}
	if _, offered := s.offers["AUTH"]; offered {
		if err := c.localLogin(ctx, s); err != nil {
			return "", err
		}
	}
	return s.send(env, m)
}

// localLogin logs in when the configuration wants apps to.
func (c *Call) localLogin(ctx context.Context, s *submission) error {
	cfg, err := config.LoadOrDefault(c.Paths)
	if err != nil || cfg.Listen.Login != config.LoginRequired {
		return nil // the relay says what is missing, if anything is
	}
	password, err := (&auth.Secrets{}).Get(ctx, cfg.Listen.Password)
	if err != nil {
		return &Error{ExNoPerm, fmt.Errorf("the local password: %w", err)}
	}
	_, err = s.command(upstream.PhaseAuth, 235, "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00sendmail\x00"+password)))
	return err
}

// submission is one SMTP conversation with the relay.
type submission struct {
	raw    net.Conn
	conn   *textproto.Conn
	offers map[string]string // EHLO keywords
}

// command sends a line, unless format is "", and reads the reply to it.
func (s *submission) command(phase upstream.Phase, expect int, format string, a ...any) (string, error) {
	limit := submitStep
	if phase == upstream.PhaseDataEnd {
		limit = submitEnd
	}
	err := s.raw.SetDeadline(time.Now().Add(limit))
	if err == nil && format != "" {
		err = s.conn.PrintfLine(format, a...)
	}
	var code int
	var text string
	if err == nil {
		code, text, err = s.conn.ReadResponse(expect)
	}
	if err == nil {
		return fmt.Sprint(code, " ", text), nil
	}
	refusal, ok := errors.AsType[*textproto.Error](err)
	if !ok || refusal.Code == 421 { // it is stopping
		return "", fmt.Errorf("%w: %w", errNoVerdict, err)
	}
	return "", &Error{exitOf(phase, refusal), errors.New(refusal.Error())}
}

// exitOf is the exit status for a refusal.
func exitOf(phase upstream.Phase, refusal *textproto.Error) int {
	if refusal.Code/100 == 4 {
		return ExTempFail
	}
	switch reply.ClassifyText(phase, refusal.Error()) {
	case upstream.ClassRecipientUnknown:
		return ExNoUser
	case upstream.ClassRecipientDomainUnknown:
		return ExNoHost
	case upstream.ClassCredentialsRejected, upstream.ClassAuthRequired, upstream.ClassAppPasswordOrOAuthRequired,
		upstream.ClassAccountDisabledOrLocked, upstream.ClassPOPBeforeSMTPRequired, upstream.ClassRelayDeniedIP,
		upstream.ClassSenderDomainRestricted:
		return ExNoPerm
	}
	return ExUnavailable
}

func (s *submission) hello() error {
	if _, err := s.command(upstream.PhaseConnect, 220, ""); err != nil {
		return err
	}
	text, err := s.command(upstream.PhaseEHLO, 250, "EHLO localhost")
	if err != nil {
		return err
	}
	s.offers = map[string]string{}
	for _, line := range strings.Split(text, "\n")[1:] {
		keyword, parameter, _ := strings.Cut(line, " ")
		s.offers[strings.ToUpper(keyword)] = parameter
	}
	return nil
}

// send carries out one transaction: all recipients or none.
func (s *submission) send(env upstream.Envelope, m *draft) (text string, err error) {
	if _, err := s.command(upstream.PhaseMail, 250, "MAIL FROM:<%s>%s", env.From, s.mailParameters(env)); err != nil {
		return "", err
	}
	var refused []error
	for _, r := range env.Recipients {
		_, err := s.command(upstream.PhaseRcpt, 250, "RCPT TO:<%s>%s", r.Address, s.rcptParameters(r))
		if errors.Is(err, errNoVerdict) {
			return "", err
		}
		if err != nil {
			f, _ := errors.AsType[*Error](err)
			refused = append(refused, &Error{f.Status, fmt.Errorf("%s: %w", r.Address, err)})
		}
	}
	if len(refused) > 0 { // nothing is sent, so that the program can decide
		f, _ := errors.AsType[*Error](refused[0])
		return "", &Error{f.Status, errors.Join(refused...)}
	}
	if _, err := s.command(upstream.PhaseData, 354, "DATA"); err != nil {
		return "", err
	}
	body, err := m.open()
	if err != nil {
		return "", err
	}
	w := s.conn.DotWriter()
	_, err = io.Copy(deadlineWriter{s.raw, w}, body)
	if err = cmp.Or(err, w.Close()); err != nil {
		return "", fmt.Errorf("%w: %w", errNoVerdict, err)
	}
	text, err = s.command(upstream.PhaseDataEnd, 250, "")
	if err == nil { // the message has left: nothing that follows matters
		_, _ = s.command(upstream.PhaseEHLO, 221, "QUIT")
	}
	return text, err
}

// mailParameters are those that the relay offers to take.
func (s *submission) mailParameters(env upstream.Envelope) string {
	var b strings.Builder
	add := func(keyword, parameter string, when bool) {
		if _, offered := s.offers[keyword]; offered && when {
			b.WriteString(" " + parameter)
		}
	}
	add("SIZE", fmt.Sprintf("SIZE=%d", env.Size), true)
	add("8BITMIME", "BODY=8BITMIME", env.Body != "")
	add("SMTPUTF8", "SMTPUTF8", env.SMTPUTF8)
	add("DSN", "RET="+env.Return, env.Return != "")
	add("DSN", "ENVID="+xtext(env.EnvelopeID), env.EnvelopeID != "")
	return b.String()
}

func (s *submission) rcptParameters(r upstream.Recipient) string {
	if _, offered := s.offers["DSN"]; !offered || len(r.Notify) == 0 {
		return ""
	}
	return " NOTIFY=" + strings.Join(r.Notify, ",")
}

// xtext encodes a DSN parameter (RFC 3461 section 4).
func xtext(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// deadlineWriter gives each write a deadline.
type deadlineWriter struct {
	raw net.Conn
	w   io.Writer
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	if err := d.raw.SetWriteDeadline(time.Now().Add(submitStep)); err != nil {
		return 0, err
	}
	return d.w.Write(p)
}
