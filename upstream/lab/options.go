package lab

import (
	"net/netip"
	"time"

	"melon/upstream"
)

// Options says what kind of provider Start makes. The zero value is a provider
// on 127.0.0.1 and ::1 with one user, every extension, STARTTLS, AUTH PLAIN and
// LOGIN, that relays for nobody but its user after AUTH.
type Options struct {
	Rules  Rules  // who may relay, and how much
	SMTP   SMTP   // what the SMTP server can do
	POP    POP    // what the POP3 server can do
	Users  []User // DefaultUser alone when nil
	Faults []Fault
	// Words replaces the replies of refusals; see Word.
	Words map[Word]string
	// Hosts are the addresses that SMTP and POP3 listen on, 127.0.0.1 and ::1
	// (where the machine has it) when nil; one port number serves all of them.
	Hosts []string
	// POPHosts are the addresses of the POP3 server where they differ from Hosts.
	POPHosts []string
	// Net makes the provider listen on a network in memory instead of loopback.
	Net *Net
	// Delay is the round-trip time, in real time, that each connection feels,
	// that of the TCP handshake included; 0 is none.
	Delay time.Duration
	// Now is the provider's clock, for windows, settling, greylisting, rates and
	// certificates; time.Now when nil.
	Now func() time.Time
	// Cert is which certificate the servers show.
	Cert CertKind
	// Dir is where Account writes the password and the CA's certificate, such
	// as t.TempDir(). Without it an account's secret is an environment
	// reference that Provider.Get alone resolves, and Trust.CA is empty (give
	// CertPool to the dialler).
	Dir string
	// KeepBody bounds, in octets, how much of a message is kept in
	// Message.Data; 0 means 16 MiB, negative nothing. Size and SHA256 are
	// always those of the whole.
	KeepBody int
	// Transcript is called with each line of each conversation, in order, by
	// one goroutine at a time. It must not call the Provider.
	Transcript func(Line)
}

// User is one customer of the provider.
type User struct {
	Name     string // for AUTH and POP3
	Password string
	Address  string // the user's mail address
	Token    string // OAuth 2.0 access token that XOAUTH2 and OAUTHBEARER take, besides those of the OAuth server
}

// DefaultUser is the one user of a provider that names none.
var DefaultUser = User{Name: "taro", Password: "melon-pan-2099", Address: "taro@provider-a.example", Token: "lab-token"}

// Check is the moment at which the SMTP server looks at Rules.
type Check int

// The moments. The default is RCPT, as with most servers.
const (
	CheckRcpt    Check = iota
	CheckConnect       // the list as it was when the connection opened counts; refused at RCPT
	CheckMail
	CheckData
	CheckBanner // like CheckConnect, but the greeting itself is the refusal
)

// Opens is how far a POP3 session must get before the relay opens.
type Opens int

// The steps.
const (
	OpensAtLogin Opens = iota
	OpensAtStat        // STAT, LIST or UIDL answered
	OpensAtList        // LIST or UIDL without argument answered
	OpensAtQuit
)

// Rules is who may relay, and how much. Relaying is mail to a domain that is
// not in Local. Window, Auth, Nets and Domains each are a way in: any of those
// that are set will do, or all of them with All. With none set, and not Open,
// Auth is set.
type Rules struct {
	Open bool // anybody may relay

	PBS     PBS            // POP before SMTP, when PBS.Window > 0
	Auth    bool           // those who authenticated
	Nets    []netip.Prefix // clients with an address in one of these
	Domains []string       // sender or recipient in one of these domains
	All     bool           // every way in that is set is needed, instead of any

	// Senders are the only domains that MAIL takes (RFC 5321 leaves that to
	// policy); the empty sender always passes. Nil: any.
	Senders []string
	// OwnSender refuses a MAIL whose sender is not the authenticated user's.
	OwnSender bool
	// Local are the provider's own domains: their mail needs no way in, so that
	// "sometimes it works". Nil: the domain of the first user's address.
	Local []string
	// Unknown are recipient addresses that are refused as unknown.
	Unknown []string
	Check   Check
	// Greylist is how long a new triple of client, sender and recipient is
	// refused with a temporary reply; 0 is not at all.
	Greylist time.Duration
	Limits   Limits
}

// PBS is POP before SMTP.
type PBS struct {
	Window     time.Duration // how long a login opens the relay for its address
	OpensAt    Opens
	Hold       bool          // only while the POP session is open
	Settle     time.Duration // the login counts only after this
	VoidOnDrop bool          // a POP connection that ends without QUIT closes the relay
}

// Limits bound what one client may do. 0 is no limit.
type Limits struct {
	PerConnection int           // messages; then 421 to the next MAIL and the connection ends
	Recipients    int           // per message; the next gets 452 4.5.3
	Size          int64         // octets, announced by SIZE; 552 5.3.4
	Rate          int           // messages per client address in RatePer; then 450 4.7.1
	RatePer       time.Duration // one minute when 0
	Connections   int           // at once per client address; the next gets 421
	AuthFailures  int           // then the user's account is locked
}

// SMTP is what the SMTP server can do. Its zero value offers everything but
// the mechanisms beyond PLAIN and LOGIN.
type SMTP struct {
	Hostname string // "mail.provider-a.example" when empty
	// Without names EHLO keywords that are neither offered nor taken, such as
	// "PIPELINING", "CHUNKING", "STARTTLS", "8BITMIME", "SMTPUTF8", "SIZE",
	// "DSN", "ENHANCEDSTATUSCODES", "AUTH", "EHLO" (the command itself).
	Without []string
	// Mechanisms are those offered by AUTH; PLAIN and LOGIN when nil.
	Mechanisms []string
	// Dead are mechanisms that are offered and then refused with 504 5.5.4.
	Dead []string
	// AuthPlaintext offers AUTH before TLS.
	AuthPlaintext bool
	// RequireTLS refuses MAIL and AUTH before TLS with 530 5.7.0.
	RequireTLS bool
	// BasicDisabled refuses every password, right or wrong, as Exchange does.
	BasicDisabled bool
	// FalseSignature makes SCRAM end with a wrong server signature.
	FalseSignature bool
	// Pipelined is what happens to a client that pipelines.
	Pipelined Punish
	// GreetingText replaces the text of the 220 greeting.
	GreetingText string
	// TLSVersion is the only version of TLS that both servers speak, such as
	// tls.VersionTLS10; 1.2 and 1.3 when 0.
	TLSVersion uint16
	// ClientCertUser is the user that EXTERNAL logs in; a client certificate
	// signed by the lab's CA is needed.
	ClientCertUser string
}

// POP is what the POP3 server can do.
type POP struct {
	Messages int // in the mailbox; contents are made from the number
	// Without names capabilities that are not offered: "CAPA" (the command
	// itself), "PIPELINING", "STLS", "SASL", "USER", "UIDL", "TOP", "RESP-CODES".
	Without []string
	// APOP puts a timestamp into the greeting (RFC 1939 section 7).
	APOP bool
	// RequireTLS refuses a login before TLS.
	RequireTLS bool
	// Exclusive refuses a second session of a user with [IN-USE] (RFC 2449 section 8.1.1).
	Exclusive bool
	// LoginDelay refuses a login sooner than this after the last with
	// [LOGIN-DELAY].
	LoginDelay time.Duration
	// Pipelined is what happens to a client that pipelines.
	Pipelined Punish
	// GreetingText replaces the text after +OK.
	GreetingText string
}

// Punish is what a server does to a client that sends a command before the
// reply to the last one, where that isn't allowed.
type Punish int

// The punishments. An ordinary server copes (RFC 2920 section 3.2).
const (
	PunishNot     Punish = iota
	PunishDrop           // the connection ends without a reply
	PunishDiscard        // what was read ahead is thrown away
	PunishWrong          // what was read ahead is answered 503 or -ERR
)

// Word names a refusal whose reply Options.Words can replace. The value is the
// reply as on the wire without CRLF, several lines joined by "\n", such as
// "550-go away\n550 5.7.1 <{to}>: Relaying denied". {ip}, {from} and {to} are
// replaced. A POP3 word begins with "-ERR".
type Word string

// The words and (in words.go) their defaults.
const (
	WordRelay          Word = "relay"           // no way in, whatever the rules
	WordRelayPOP       Word = "relay-pop"       // no way in, and PBS is one
	WordRelayAuth      Word = "relay-auth"      // no way in, and Auth is the only one
	WordRelayAddress   Word = "relay-address"   // no way in, and Nets is the only one
	WordRelayDomain    Word = "relay-domain"    // no way in, and Domains is the only one
	WordBanner         Word = "banner"          // CheckBanner's greeting
	WordSender         Word = "sender"          // Rules.Senders
	WordOwnSender      Word = "own-sender"      // Rules.OwnSender
	WordUnknown        Word = "unknown"         // Rules.Unknown
	WordGreylist       Word = "greylist"        //
	WordPerConnection  Word = "per-connection"  // 421
	WordRecipients     Word = "recipients"      //
	WordSize           Word = "size"            //
	WordRate           Word = "rate"            //
	WordConnections    Word = "connections"     // 421 instead of the greeting
	WordTLS            Word = "tls"             // RequireTLS
	WordCredentials    Word = "credentials"     // AUTH with a wrong password
	WordMechanism      Word = "mechanism"       // Dead, and unknown ones
	WordBasicDisabled  Word = "basic-disabled"  //
	WordLocked         Word = "locked"          // Limits.AuthFailures
	WordPOPCredentials Word = "pop-credentials" //
	WordPOPLocked      Word = "pop-locked"      //
	WordPOPInUse       Word = "pop-in-use"      //
	WordPOPLoginDelay  Word = "pop-login-delay" //
	WordPOPTLS         Word = "pop-tls"         //
	WordAccepted       Word = "accepted"        // not a refusal: the reply to a whole message, {id} is its number
)

// CertKind is which certificate the servers show.
type CertKind int

// The certificates. All but CertSelfSigned and CertOtherCA are signed by the
// CA that CertPool holds.
const (
	CertGood        CertKind = iota
	CertExpired              // ended a day ago
	CertNotYet               // begins tomorrow
	CertForeignName          // for "other.example" alone
	CertSelfSigned
	CertOtherCA // signed by another CA of the same name, as after a change of CA
)

// The phases of the lab beside those of package upstream, for Fault.Phase.
const (
	PhaseTLS      upstream.Phase = "tls"       // the TLS handshake, implicit or not
	PhaseAuthStep upstream.Phase = "auth-step" // the client's answer to a 334
	PhaseRset     upstream.Phase = "rset"
	PhaseNoop     upstream.Phase = "noop"
	PhaseQuit     upstream.Phase = "quit"
	PhasePOPCapa  upstream.Phase = "pop-capa"
	PhasePOPStls  upstream.Phase = "pop-stls"
	PhasePOPStat  upstream.Phase = "pop-stat"
	PhasePOPList  upstream.Phase = "pop-list" // LIST and UIDL
	PhasePOPNoop  upstream.Phase = "pop-noop"
	PhasePOPQuit  upstream.Phase = "pop-quit"
)
