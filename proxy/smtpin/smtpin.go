package smtpin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"melon/upstream"
	"melon/upstream/trace"
)

// Handler takes messages in. One Handler serves all connections, so its method
// is called from many goroutines.
type Handler interface {
	// Begin opens a transaction at MAIL. env has no recipients yet. An error
	// refuses MAIL. The context ends with the connection, or when Shutdown runs
	// out of patience.
	Begin(ctx context.Context, c Client, env upstream.Envelope) (Transaction, error)
}

// Transaction is one message on its way in. Its methods are called one after
// the other from one goroutine, and Reset is always the last call: after Data
// returned, after RSET, EHLO or QUIT, and when the app went away.
//
// Errors are *upstream.Error, wrapped or not; see Reply for what the app is
// told. Any other error is a temporary one to the app, which is told nothing of
// its text.
type Transaction interface {
	// Rcpt adds a recipient; an error refuses this one alone.
	Rcpt(ctx context.Context, rc upstream.Recipient) error
	// Data takes the content and decides. The body is exactly what the app
	// sent, without dot-stuffing: line ends are as they came, and there is no
	// end-of-message dot. Its Read returns io.EOF after the last octet of a
	// complete message only; an error that is upstream.ErrBodyAborted when the
	// app went away, stalled or took the message back; ErrTooLarge when it is
	// over the limit. A transaction that read io.EOF has the whole message;
	// any other must not be completed.
	//
	// The reply is what the app hears: a zero Reply is a plain 250. To say 250
	// without having read io.EOF is turned into a 451, as it would be a lie.
	Data(ctx context.Context, body io.Reader) (upstream.Reply, error)
	// Reset ends the transaction and frees what it holds. It does not wait
	// for the provider.
	Reset()
}

// Client is who hands the message in.
type Client struct {
	// Login is the name that the app logged in with, "" when it did not. It may
	// be the name of an account, and may be any other string.
	Login    string
	HELO     string // the argument of EHLO or HELO, free of control characters
	Extended bool   // the app said EHLO
	TLS      bool
	Peer     netip.AddrPort // the app's own address
	ID       string         // names the connection in the log
}

// With returns the protocol for the "with" clause of a Received line (RFC 5321
// section 4.4, RFC 3848; RFC 6531 section 4.3 when utf8).
func (c Client) With(utf8 bool) string {
	p := "SMTP"
	switch {
	case utf8:
		p = "UTF8SMTP"
	case c.Extended:
		p = "ESMTP"
	}
	if !c.Extended && !utf8 {
		return p
	}
	if c.TLS {
		p += "S"
	}
	if c.Login != "" {
		p += "A"
	}
	return p
}

// ErrTooLarge is what a body's Read returns when the message is larger than
// Limits.Message. The app is told 552 5.3.4 whatever the transaction answers.
var ErrTooLarge = errors.New("the message is larger than the limit")

// LoginMode says whether an app logs in to Melon.
type LoginMode string

// The values of `login`.
const (
	LoginOff      LoginMode = "off"      // AUTH is not offered
	LoginOptional LoginMode = "optional" // offered; any password when none is set
	LoginRequired LoginMode = "required" // no MAIL without the local password
)

// Allow says which local processes may connect.
type Allow string

// The values of `allow`.
const (
	AllowSameUser Allow = "same-user" // this user's processes only
	AllowAnyLocal Allow = "any-local" // every process of this machine
)

// Options is everything that a Server needs. Handler is required; every other
// zero value is the default that is named.
type Options struct {
	Handler Handler
	Listen  Listen
	Login   Login
	Allow   Allow // same-user
	Limits  Limits
	// Explain returns what is added to the provider's words in a refusal, in
	// whole sentences; nil or "" adds nothing. Few apps take anything but ASCII
	// in a reply (RFC 6531): what has no ASCII form is left out for the others,
	// so English is the language for it.
	Explain func(*upstream.Error) string
	// Peers finds the owner of a local connection; nil asks the system.
	Peers PeerLookup
	// Trace receives the masked protocol lines of every connection, which conn
	// (Client.ID) names; nil traces nothing. Several goroutines call it.
	Trace func(conn string, l trace.Line)
	Log   *slog.Logger // operator lines; nil writes none
}

// Listen says where to listen and with which certificate.
type Listen struct {
	SMTP  []string // plain addresses, "host:port"; nil: DefaultSMTP
	SMTPS []string // implicit TLS (RFC 8314 section 3.3)
	// StartTLS offers STARTTLS on loopback addresses too; beyond loopback it
	// always is.
	StartTLS bool
	CertFile string // PEM certificate chain; "" makes an own one in StateDir
	KeyFile  string
	StateDir string // where the own certificate is kept; 0700 or made so
	// Ready are plain listeners that were opened for the Server, which owns
	// them from New on. One whose address is in SMTP stands for it; the others
	// are served as well, under the same conditions.
	Ready []net.Listener
}

// Login is how an app logs in to Melon.
type Login struct {
	Mode LoginMode // optional
	// Password returns the local password; nil or "" when none is set, which
	// with optional lets any password in and with required none. It is asked
	// at every attempt.
	Password func(ctx context.Context) (string, error)
}

// Limits bound what an app may take. A zero field has the default. When there
// are too many connections the one that idles longest is ended with 421.
type Limits struct {
	Connections     int           // open at once; 1000
	ConnectionsUser int           // of one user at once; 500
	Message         int64         // octets of one message; 100 MB
	Recipients      int           // of one message; 1000
	Idle            time.Duration // between commands; 5 minutes (RFC 5321 section 4.5.3.2.7)
	Body            time.Duration // waited in all for one message's content; 1 hour
	Write           time.Duration // for the app to take a reply; 1 minute
	BadCommands     int           // since the last message; 20
	LoginAttempts   int           // refused ones of one connection; 3
	// MessagesOther is how many messages a minute another user of this machine,
	// or another host, may begin; 60. This user's own are not counted.
	MessagesOther int
}

// DefaultSMTP returns the addresses that a Server listens on when none are
// listed. Of these one whose address family the machine lacks is skipped.
func DefaultSMTP() []string { return []string{"127.0.0.1:2525", "[::1]:2525"} }

// PeerLookup finds the user that owns the other end of a local TCP connection.
type PeerLookup interface {
	// SameUser reports whether the process at the other end runs as the user
	// that this process runs as, and names its user for the log and for
	// counting. local and remote are this side's addresses. An error means
	// that it could not be found out: the connection is refused.
	SameUser(local, remote netip.AddrPort) (same bool, user string, err error)
	// Enforced reports whether the platform can tell at all; where it cannot
	// every local process may connect.
	Enforced() bool
}

// Address is one address that is listened on.
type Address struct {
	Kind string // "smtp" or "smtps"
	Addr string // "127.0.0.1:2525", with the port that was taken
}
