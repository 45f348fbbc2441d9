//go:build linux

package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// provider is a kind of provider.
type provider int

const (
	secure provider = iota // implicit TLS and AUTH PLAIN
	pbs                    // POP before SMTP, in clear
	open                   // neither TLS nor login: a relay for anybody
)

// labs is a provider in a box.
type labs struct {
	*lab.Provider
	kind provider
	smtp lab.SMTP
}

// newLab starts a provider that is rtt away.
func newLab(kind provider, rtt time.Duration) (*labs, error) {
	o := lab.Options{KeepBody: -1, Hosts: []string{"127.0.0.1"}, Delay: rtt}
	switch kind {
	case pbs:
		o.Rules.PBS.Window = 10 * time.Minute
		o.SMTP.Without, o.POP.Without = []string{"STARTTLS", "AUTH"}, []string{"STLS"}
	case open:
		o.Rules.Open = true
		o.SMTP.Without = []string{"STARTTLS", "AUTH"}
	}
	p, err := lab.Start(o)
	return &labs{p, kind, o.SMTP}, err
}

// account is Melon's.
func (l *labs) account() upstream.Account {
	a := l.Account("home")
	switch l.kind {
	case secure:
		a.SMTP = l.Server("smtps")
	case open:
		a.Auth = upstream.AuthNone
	}
	return a
}

// door is a plain mail app's.
func (l *labs) door() door {
	d := door{Addr: l.SMTPAddr(), User: lab.DefaultUser.Name, Pass: lab.DefaultUser.Password}
	switch l.kind {
	case secure:
		d.Addr, d.CA = l.SMTPSAddr(), l.CAPEM()
	case pbs:
		d.POP = l.POPAddr()
	case open:
		d.User = ""
	}
	return d
}

// limit is the least round trips that a first message takes, and one on a warm
// connection.
func (k provider) limit() (first, warm int) {
	if k == pbs {
		return 5, 1
	}
	return 6, 1
}

// hop is a peer's.
func (l *labs) hop() hop {
	addr := l.SMTPAddr()
	if l.kind == secure {
		addr = l.SMTPSAddr()
	}
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return hop{host: host, port: n, auth: l.kind == secure}
}

// arrived waits until n messages are there in all.
func (l *labs) arrived(ctx context.Context, n int) error {
	return l.WaitFor(ctx, func(s lab.Stats) bool { return s.Messages >= n })
}
