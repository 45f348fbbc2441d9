package upstream

import (
	"net"
	"strconv"
	"time"
)

// Account is one provider account with every default filled in. It is plain
// data: copied freely, never changed after it was built.
type Account struct {
	Name     string
	Address  string
	Senders  []string // further sender patterns, "*" matches any run of characters
	Username string   // SASL and POP user name; never empty
	Password SecretRef
	Auth     AuthMethod

	SMTP Server
	POP  POPServer // POP.Host == "" when the account has none

	PopBeforeSMTP  PopBeforeSMTP
	Trust          Trust
	AllowPlaintext bool // may send its password over an unencrypted connection
	// EnvelopeFromAccount replaces a non-empty envelope sender by Address.
	EnvelopeFromAccount bool
	Fallback            []string // names of accounts to try when this one cannot be reached
	OAuth               OAuth
	// Connections bounds how many SMTP connections the outbox may use at once, 1 to 8; 0 means 1.
	Connections int
}

// Security says how a connection is protected.
type Security string

// The values of `security`.
const (
	SecurityAuto     Security = "auto"     // implicit TLS on its ports, else STARTTLS when offered
	SecurityTLS      Security = "tls"      // implicit TLS
	SecurityStartTLS Security = "starttls" // STARTTLS (POP: STLS) or nothing
	SecurityNone     Security = "none"     // never TLS
)

// Server is one server's address. Port 0 means: try the usual ports.
type Server struct {
	Host     string
	Port     int
	Security Security
}

// Addr returns "host:port".
func (s Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// POPServer is the POP3 server of an account, with its own login where it
// differs from the account's.
type POPServer struct {
	Server
	Username string    // never empty when Host is set
	Password SecretRef // the account's own when not configured
}

// PopBeforeSMTP is how a POP login opens the provider's relay.
type PopBeforeSMTP struct {
	Window time.Duration // how long a login opens it; 5 minutes unless set
	Finish string        // "login", "stat", "list" or "quit"
	Hold   bool          // keep the POP session open until the message is sent
	Settle time.Duration // pause between login and MAIL
}

// Trust is how a server proves itself.
type Trust struct {
	CA         string   // file of PEM certificates to trust instead of the system's
	Pins       []string // "sha256/BASE64" of a SubjectPublicKeyInfo (RFC 7469); one must match
	ServerName string   // name to expect in the certificate instead of the host
	LegacyTLS  bool     // allow TLS 1.0 and 1.1
	Insecure   bool     // verify nothing
}

// OAuth is the account's OAuth 2.0 client (RFC 6749).
type OAuth struct {
	Provider     string
	ClientID     string
	ClientSecret SecretRef
	Tenant       string
	Scopes       []string
	AuthURL      string
	TokenURL     string
	DeviceURL    string
}

// IsZero reports whether no OAuth client is configured.
func (o OAuth) IsZero() bool {
	return o.Provider == "" && o.ClientID == "" && o.TokenURL == "" && o.AuthURL == ""
}

// AuthMethod is the value of an account's `auth` setting.
type AuthMethod string

// The values of `auth`.
const (
	AuthAuto          AuthMethod = "auto"
	AuthNone          AuthMethod = "none"
	AuthPlain         AuthMethod = "plain"
	AuthLogin         AuthMethod = "login"
	AuthCRAMMD5       AuthMethod = "cram-md5"
	AuthSCRAMSHA1     AuthMethod = "scram-sha-1"
	AuthSCRAMSHA256   AuthMethod = "scram-sha-256"
	AuthXOAUTH2       AuthMethod = "xoauth2"
	AuthOAUTHBEARER   AuthMethod = "oauthbearer"
	AuthExternal      AuthMethod = "external"
	AuthPOPBeforeSMTP AuthMethod = "pop-before-smtp"
)

// SecretRef says where a secret is, and never what it is. Exactly one field is
// set; the zero value means that there is none.
type SecretRef struct {
	Keyring string   // name of a keyring item
	Command []string // program and arguments; its first line of output
	File    string   // absolute path of a 0600 file
	Env     string   // environment variable
}

// IsZero reports whether no secret is configured.
func (r SecretRef) IsZero() bool {
	return r.Keyring == "" && len(r.Command) == 0 && r.File == "" && r.Env == ""
}

// Source says where the secret is kept, for people: "keyring", "command",
// "file", "environment" or "none".
func (r SecretRef) Source() string {
	switch {
	case r.Keyring != "":
		return "keyring"
	case len(r.Command) > 0:
		return "command"
	case r.File != "":
		return "file"
	case r.Env != "":
		return "environment"
	}
	return "none"
}
