package lab

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"melon/upstream"
)

// Proto is which of the two servers a thing happened at.
type Proto string

// The servers.
const (
	SMTPProto Proto = "smtp"
	POPProto  Proto = "pop"
)

// Line is one line of a conversation as Options.Transcript sees it: secrets are
// masked, bodies shown as "<1234 octets>".
type Line struct {
	Conn   int // the connection's number, from 1 over both servers
	Proto  Proto
	Client bool // true: the client said it
	Text   string
}

// Command is one command that a client sent, in the order of arrival over all
// connections.
type Command struct {
	Conn  int
	Proto Proto
	Verb  string // upper case: "MAIL", "RETR"
	Line  string // whole, unmasked, without CRLF
	TLS   bool   // it came over TLS
}

// Message is one message that the SMTP server accepted.
type Message struct {
	ID   int       // from 1, in the order of acceptance
	At   time.Time // of acceptance, by the provider's clock
	Conn int
	Peer netip.AddrPort // the client's end of the connection, as it really is
	// Envelope is what MAIL and RCPT said; Recipients are those accepted.
	Envelope   upstream.Envelope
	MailParams []string // MAIL's parameters as sent
	Data       []byte   // dot-unstuffed; nil when longer than Options.KeepBody
	Size       int64
	SHA256     [32]byte
	Chunked    bool   // sent with BDAT
	Auth       string // the connection's mechanism, "" without AUTH
	TLS        bool
	Client     netip.Addr
	Trips      Trips
}

// Stats counts what happened since Start.
type Stats struct {
	SMTPConns, POPConns       int // accepted
	SMTPOpen, POPOpen         int // open now
	Auths, AuthFailures       int // SMTP AUTH
	POPLogins, POPFailures    int // USER/PASS, APOP, AUTH
	Messages                  int
	Mails, Rcpts              int // MAIL and RCPT commands, refused ones included
	Refused                   int // 4yz and 5yz replies of SMTP, -ERR of POP3
	TLSHandshakes, TLSResumed int
	Faults                    int // that struck
}

// What is kept at most; commands and messages beyond it are only counted.
const (
	maxCommands = 200_000
	maxMessages = 200_000
	maxKept     = 512 << 20 // octets of Message.Data in all; nil beyond
)

// record keeps what happened. changed is closed and replaced at each change.
type record struct {
	mu       sync.Mutex
	changed  chan struct{}
	stats    Stats
	commands []Command
	messages []Message
	kept     int            // octets of Data in messages
	trips    map[int]Trips  // of closed connections, by number
	answers  map[int]Answer // by message
}

func newRecord() *record {
	return &record{changed: make(chan struct{}), trips: map[int]Trips{}, answers: map[int]Answer{}}
}

// accepted keeps a message under its number, which it returns.
func (r *record) accepted(m Message) int {
	r.update(func() {
		r.stats.Messages++
		m.ID = r.stats.Messages
		if r.kept+len(m.Data) > maxKept {
			m.Data = nil
		}
		r.kept += len(m.Data)
		if len(r.messages) < maxMessages {
			r.messages = append(r.messages, m)
		}
	})
	return m.ID
}

// update runs f with the record locked and wakes whoever waits.
func (r *record) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Stats returns the counters as they are now.
func (p *Provider) Stats() Stats {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return p.rec.stats
}

// Messages returns the accepted messages, in order.
func (p *Provider) Messages() []Message {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return append([]Message(nil), p.rec.messages...)
}

// Commands returns the commands of one server, or of both when proto is "".
func (p *Provider) Commands(proto Proto) []Command {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	var cs []Command
	for _, c := range p.rec.commands {
		if proto == "" || c.Proto == proto {
			cs = append(cs, c)
		}
	}
	return cs
}

// Count returns how many commands with one of the verbs one server got.
func (p *Provider) Count(proto Proto, verbs ...string) int {
	n := 0
	for _, c := range p.Commands(proto) {
		for _, v := range verbs {
			if strings.EqualFold(c.Verb, v) {
				n++
			}
		}
	}
	return n
}

// WaitFor returns when ok holds for the counters, or with ctx's error.
func (p *Provider) WaitFor(ctx context.Context, ok func(Stats) bool) error {
	for {
		p.rec.mu.Lock()
		s, changed := p.rec.stats, p.rec.changed
		p.rec.mu.Unlock()
		if ok(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Wait returns the messages as soon as there are n of them. On ctx's end it
// returns those that there are, and ctx's error.
func (p *Provider) Wait(ctx context.Context, n int) ([]Message, error) {
	err := p.WaitFor(ctx, func(s Stats) bool { return s.Messages >= n })
	return p.Messages(), err
}

// WaitIdle returns when no connection is open, or with ctx's error.
func (p *Provider) WaitIdle(ctx context.Context) error {
	return p.WaitFor(ctx, func(s Stats) bool { return s.SMTPOpen+s.POPOpen == 0 })
}

// Trips returns the round trips of a connection so far, of one that has ended
// too.
func (p *Provider) Trips(conn int) Trips {
	p.mu.Lock()
	for c := range p.conns {
		if c.id == conn {
			defer p.mu.Unlock()
			return Trips{Total: c.raw.total()}
		}
	}
	p.mu.Unlock()
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return p.rec.trips[conn]
}

// waitTimer returns when d has passed (true) or ctx has ended (false).
func waitTimer(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
