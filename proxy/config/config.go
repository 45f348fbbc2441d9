package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"melon/upstream"
)

// Config is the whole configuration, checked, with every default filled in. It
// is never changed after it was built, so that any goroutine may read it.
type Config struct {
	File     string // the file as given; "" when there is none
	Listen   Listen
	Control  Control
	Accounts []upstream.Account // in the order of the file
	Default  string             // name of the account for senders that none claims, or ""
	Networks []Network
	Routes   []Route // the first that matches wins
	Delivery Delivery
	Outbox   Outbox
	Log      Log
	Language string // "auto", "en" or "ja"

	uses []use // where files and secrets are named, for SecretProblems
}

// Listen says where apps connect, and who may.
type Listen struct {
	SMTP []string // "host:port"; port 0 takes a free one
	// SMTPDefault is true when the file does not list SMTP: an address whose
	// family the machine lacks is then skipped instead of being an error.
	SMTPDefault bool
	SMTPS       []string // the same with implicit TLS
	// StartTLS offers STARTTLS on the loopback addresses of SMTP. Addresses
	// beyond loopback always have it (see Loopback), before any AUTH or MAIL.
	StartTLS   bool
	TLS        TLSFiles // empty: an own certificate
	Login      Login
	Password   upstream.SecretRef // the local password; set when Login is LoginRequired
	Allow      Allow
	MaxMessage int64 // octets
}

// TLSFiles are absolute paths of PEM files; both are set or none.
type TLSFiles struct{ Cert, Key string }

// Login says whether apps log in to Melon.
type Login string

// The values of `listen.login`.
const (
	LoginOff      Login = "off"
	LoginOptional Login = "optional" // an app that insists may; any password when none is set
	LoginRequired Login = "required"
)

// Allow says which processes of this machine may connect.
type Allow string

// The values of `listen.allow`.
const (
	AllowSameUser Allow = "same-user"
	AllowAnyLocal Allow = "any-local"
)

// Control is the control API's part of the configuration.
type Control struct {
	Web string // "host:port" on loopback, or "" when it is off
}

// Network is a named set of marks by which a network is known. Every mark that
// is given must hold; of one mark's values any will do.
type Network struct {
	Name       string
	Subnets    []netip.Prefix // hold the machine's own IPv4 or IPv6 address
	Gateways   []netip.Addr
	SSIDs      []string // patterns; "*" matches any run of characters
	Interfaces []string // patterns
}

// Route sends what matches it by Account. An empty field matches anything.
type Route struct {
	From    string // pattern for the envelope sender
	To      string // pattern for one recipient
	Network string // name of a Network
	Account string // never empty
}

// Delivery says how an app gets its verdict.
type Delivery string

// The values of `delivery`.
const (
	DeliveryLive  Delivery = "live"
	DeliveryQueue Delivery = "queue"
	DeliveryPass  Delivery = "pass"
)

// Outbox is the schedule of the messages that wait.
type Outbox struct {
	Retry   []time.Duration // pauses between attempts; the last repeats; never empty
	Expire  time.Duration
	History int // entries kept of what was sent
}

// Log says what is logged, and where.
type Log struct {
	Level string // "trace", "debug", "info", "warn" or "error"
	File  string // absolute path, or "" for standard error
}

// Defaults returns the configuration of an empty file.
func Defaults() *Config {
	return &Config{
		Listen: Listen{
			SMTP:        []string{"127.0.0.1:2525", "[::1]:2525"},
			SMTPDefault: true,
			Login:       LoginOptional,
			Allow:       AllowSameUser,
			MaxMessage:  100e6,
		},
		Control:  Control{Web: "127.0.0.1:2580"},
		Delivery: DeliveryLive,
		Outbox: Outbox{
			Retry: []time.Duration{
				time.Minute, 2 * time.Minute, 5 * time.Minute,
				10 * time.Minute, 30 * time.Minute, time.Hour,
			},
			Expire:  120 * time.Hour,
			History: 1000,
		},
		Log:      Log{Level: "info"},
		Language: "auto",
	}
}

// defaultAccount is an account before the file has spoken.
func defaultAccount(name string) upstream.Account {
	return upstream.Account{
		Name: name,
		Auth: upstream.AuthAuto,
		SMTP: upstream.Server{Security: upstream.SecurityAuto},
		POP:  upstream.POPServer{Server: upstream.Server{Security: upstream.SecurityAuto}},
		PopBeforeSMTP: upstream.PopBeforeSMTP{
			Window: 5 * time.Minute,
			Finish: "login",
		},
	}
}

// Account returns the account of this name; case does not matter, as no two
// names differ by case alone.
func (c *Config) Account(name string) (upstream.Account, bool) {
	for _, a := range c.Accounts {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return upstream.Account{}, false
}

// FreeName makes a name for an account from its address: the first word of the
// domain, with a number when there is such an account.
func (c *Config) FreeName(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	base, _, _ := strings.Cut(strings.ToLower(domain), ".")
	base = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, base)
	if base = strings.TrimLeft(base, "-"); base == "" {
		base = "account"
	}
	name := base
	for n := 2; ; n++ {
		if _, taken := c.Account(name); !taken {
			return name
		}
		name = base + "-" + strconv.Itoa(n)
	}
}

// Network returns the network of this name.
func (c *Config) Network(name string) (Network, bool) {
	for _, n := range c.Networks {
		if n.Name == name {
			return n, true
		}
	}
	return Network{}, false
}

// WithFallback returns the account of this name and, behind it, its fallbacks
// in order: what carries one message. It is nil when there is no such account.
func (c *Config) WithFallback(name string) []upstream.Account {
	first, ok := c.Account(name)
	if !ok {
		return nil
	}
	all := []upstream.Account{first}
	for _, f := range first.Fallback {
		if a, ok := c.Account(f); ok {
			all = append(all, a)
		}
	}
	return all
}
