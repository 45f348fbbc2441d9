package setup

import (
	"context"
	"errors"
	"net"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/doctor"
	"melon/upstream/network"
	"melon/upstream/relay"
)

// test logs in as the relay would, without sending; then, if the person agrees,
// sends a message to the account itself.
func (a *adding) test(ctx context.Context) (upstream.Class, error) {
	a.tell("test.begins")
	limit, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	report := doctor.Run(limit, a.Examination(a.acc, a.held, a.oauth))
	a.person.Tell(DescribeReport(report, false))
	if report.Verdict != upstream.ClassOK {
		if passwordRefused(report.Verdict) && a.found != nil && a.found.Note != "" {
			a.person.Tell("  → " + a.found.Note + "\n")
		}
		return report.Verdict, nil
	}
	send := a.w.SendTest
	if !send {
		var err error
		send, err = a.person.Confirm(ctx, a.say("test.send"), true)
		if err != nil && !errors.Is(err, ErrNobody) {
			return "", err
		}
	}
	if !send {
		return upstream.ClassOK, nil
	}
	if e := a.sendTest(ctx); e != nil {
		a.person.Tell(a.describeRefusal(e))
		return e.Class, nil
	}
	a.tell("test.sent", a.acc.Address)
	return upstream.ClassOK, nil
}

// sendTest sends a message to the account itself, through a relay of its own.
func (a *adding) sendTest(ctx context.Context) *upstream.Error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := relay.New(relay.Options{
		Dialer: a.Dialer, Secrets: a.held, Tokens: a.oauth,
		Network: func() network.State { return network.State{Online: true} },
	})
	if err != nil {
		return upstream.AsError(err, upstream.PhaseConnect)
	}
	defer r.Close()
	env := upstream.Envelope{From: a.acc.Address, Recipients: []upstream.Recipient{{Address: a.acc.Address}}}
	return r.Send(ctx, []upstream.Account{a.acc}, env, a.testMessage(a.acc, time.Now())).Err
}

// Examination is how doctor examines one account at the person's wish, whatever
// was refused before. A server on this machine says nothing about the network, so
// that nobody is asked about that then.
func (s *Setup) Examination(a upstream.Account, secrets doctor.Secrets, tokens *auth.OAuth) doctor.Options {
	o := doctor.Options{Account: a, Secrets: secrets, Dialer: s.Dialer, Lang: s.Lang, Force: true}
	if !a.OAuth.IsZero() {
		o.Tokens = tokens
	}
	if ip := net.ParseIP(a.SMTP.Host); a.SMTP.Host == "localhost" || ip != nil && ip.IsLoopback() {
		o.Probe.URL = "off"
	}
	return o
}

// Try logs an account in as the relay would, without sending. The password is
// asked of the person; whoever answers with none has the stored one tried. step
// hears of each check. The error is an *upstream.Error.
func (s *Setup) Try(ctx context.Context, a upstream.Account, tokens *auth.OAuth, p Person, step func(doctor.Check)) error {
	held := &heldSecrets{stores: s.Secrets}
	password, err := p.Type(ctx, s.passwordPrompt(a), true)
	if err != nil && !errors.Is(err, ErrNobody) {
		return err
	}
	if password != "" {
		typed := upstream.SecretRef{Keyring: "typed"} // a name for held alone
		a.Password = typed
		if a.POP.Host != "" {
			a.POP.Password = typed
		}
		held.hold(typed, password)
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	o := s.Examination(a, held, tokens)
	o.Progress = step
	r := doctor.Run(ctx, o)
	if r.Verdict == upstream.ClassOK {
		return nil
	}
	e := &upstream.Error{Account: a.Name, Class: r.Verdict, Sentence: r.Summary}
	for _, c := range r.Checks {
		if c.Status == doctor.StatusFail {
			e.Sentence = c.Detail
		}
	}
	return e
}
