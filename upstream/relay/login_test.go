package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/lab"
)

// auths lists the mechanisms of the AUTH commands so far.
func (h *house) auths() []string {
	var list []string
	for _, c := range h.p.Commands(lab.SMTPProto) {
		if c.Verb == "AUTH" {
			list = append(list, c.Line[5:min(len(c.Line), 5+13)])
		}
	}
	return list
}

func (h *house) wantAuths(want ...string) {
	h.t.Helper()
	got := h.auths()
	for i, w := range want {
		if i >= len(got) || len(got[i]) < len(w) || got[i][:len(w)] != w {
			h.t.Fatalf("AUTHs %q, want %q", got, want)
		}
	}
	if len(got) != len(want) {
		h.t.Fatalf("AUTHs %q, want %q", got, want)
	}
}

// fresh closes what is warm and forgets the login, but not what was learned.
func (h *house) fresh() { h.r.NetworkChanged() }

// The strongest mechanism that the server offers is taken, each works, and the
// message says by which it came.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	all := []string{"LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
	for i, m := range all {
		t.Run(m, func(t *testing.T) {
			in(t, lab.Options{SMTP: lab.SMTP{Mechanisms: all[:i+1]}}, func(h *house) {
				res := h.mustSend()
				h.wantAuths(m)
				if want := string(auth.Mechanism(m).Method()); res.Auth != want || h.r.Status("home").Auth != want {
					t.Errorf("auth %q, %q", res.Auth, h.r.Status("home").Auth)
				}
				h.logins(0)
			})
		})
	}
	for _, m := range []upstream.AuthMethod{upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER} {
		t.Run(string(m), func(t *testing.T) {
			in(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"PLAIN", "XOAUTH2", "OAUTHBEARER"}}}, func(h *house) {
				h.a.Auth = m
				h.pass.Store(lab.DefaultUser.Token)
				if res := h.mustSend(); res.Auth != string(m) {
					t.Errorf("auth %q", res.Auth)
				}
			})
		})
	}
}

// A mechanism that is offered and unknown is passed over, on the same
// connection, and not tried again; never more than two AUTHs on one.
func TestDeadMechanisms(t *testing.T) {
	in(t, lab.Options{SMTP: lab.SMTP{
		Mechanisms: []string{"PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"},
		Dead:       []string{"CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"},
	}}, func(h *house) {
		h.mustSend()
		h.wantAuths("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN")
		if n := h.p.Stats().SMTPConns; n != 2 {
			t.Errorf("%d connections for four AUTHs", n)
		}
		h.fresh()
		h.mustSend()
		if got := h.auths(); len(got) != 5 || got[4][:5] != "PLAIN" {
			t.Errorf("%q", got)
		}
	})
}

// After a refused challenge mechanism PLAIN is tried once, inside TLS, and the
// result remembered.
func TestPlainAfterRefusedChallenge(t *testing.T) {
	in(t, lab.Options{
		SMTP:   lab.SMTP{Mechanisms: []string{"PLAIN", "CRAM-MD5"}},
		Faults: []lab.Fault{{Phase: lab.PhaseAuthStep, Attempt: 1, Kind: lab.WrongReply, Text: "535 5.7.8 Authentication credentials invalid"}},
	}, func(h *house) {
		h.mustSend()
		h.wantAuths("CRAM-MD5", "PLAIN")
		h.fresh()
		h.mustSend()
		h.wantAuths("CRAM-MD5", "PLAIN", "PLAIN")
	})
}

// A false server signature is never followed by PLAIN, and is nobody's fault.
func TestFalseServerSignature(t *testing.T) {
	in(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"PLAIN", "SCRAM-SHA-256"}, FalseSignature: true}}, func(h *house) {
		res := h.send()
		if res.Err == nil || res.Err.Kind() != upstream.KindTemporary || !errors.Is(res.Err, auth.ErrServerSignature) {
			t.Fatalf("%+v", res.Err)
		}
		h.wantAuths("SCRAM-SHA-256")
	})
}

// A wrong password is tried once, also by twenty messages at once; it is the
// person's, and nobody is asked again until Clear or changed settings.
func TestWrongPassword(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.pass.Store("wrong")
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				res := h.send()
				if e := res.Err; e == nil || e.Class != upstream.ClassCredentialsRejected || e.Kind() != upstream.KindPerson || e.Reply.Code != 535 {
					t.Errorf("%+v", e)
				}
			})
		}
		wg.Wait()
		h.wantAuths("PLAIN")
		h.fresh()
		conns := h.p.Stats().SMTPConns
		h.send()
		if n := h.p.Stats().SMTPConns; n != conns {
			t.Error("dialled in attention")
		}
		h.pass.Store(lab.DefaultUser.Password)
		h.send()
		h.wantAuths("PLAIN")
		h.a.Username = "taro2" // other settings: another try
		h.send()
		h.wantAuths("PLAIN", "PLAIN")
		h.a.Username = "taro"
		h.mustSend()
	})
}

// A temporary refusal of a login is nobody's fault, and the next try goes.
func TestTemporaryLoginFailure(t *testing.T) {
	in(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseAuth, Attempt: 1, Kind: lab.WrongReply, Text: "454 4.7.0 Temporary authentication failure"}}}, func(h *house) {
		if res := h.send(); res.Err == nil || res.Err.Kind() != upstream.KindTemporary {
			t.Fatalf("%+v", res.Err)
		}
		h.mustSend()
	})
}

// No password leaves on a connection without TLS, unless the account allows it.
func TestNoPasswordInClear(t *testing.T) {
	in(t, lab.Options{SMTP: lab.SMTP{Without: []string{"STARTTLS"}, AuthPlaintext: true}}, func(h *house) {
		h.a.POP = upstream.POPServer{}
		h.a.AllowPlaintext = false
		h.a.SMTP.Security = upstream.SecurityNone
		if res := h.send(); res.Err == nil || res.Err.Class != upstream.ClassTLSRequired || res.Err.Kind() != upstream.KindPerson {
			t.Fatalf("%+v", res.Err)
		}
		h.wantAuths()
		h.a.AllowPlaintext = true
		h.mustSend()
	})
}

// Where a POP login might open the relay, auto goes on without AUTH; when that does
// not help either, the reason why there was no AUTH is told.
func TestNoPasswordInClearWithPOP(t *testing.T) {
	o := lab.Options{SMTP: lab.SMTP{Without: []string{"STARTTLS"}, AuthPlaintext: true}, POP: lab.POP{APOP: true, Without: []string{"STLS"}}}
	o.Rules = lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}, Auth: true}
	in(t, o, func(h *house) {
		h.a.AllowPlaintext, h.a.Auth = false, upstream.AuthAuto
		h.a.SMTP.Security, h.a.POP.Security = upstream.SecurityAuto, upstream.SecurityAuto
		if res := h.mustSend(); res.Auth != popMethod {
			t.Errorf("%+v", res)
		}
		h.wantAuths()
		h.p.SetRules(lab.Rules{Auth: true})
		h.fresh()
		res := h.send()
		if res.Err == nil || res.Err.Kind() != upstream.KindPerson {
			t.Fatalf("%+v", res.Err)
		}
		h.wantAuths()
	})
}

// Security auto takes STARTTLS when offered and never goes back; starttls
// without the offer fails; neither is taken for a wrong password.
func TestStartTLSStripped(t *testing.T) {
	in(t, lab.Options{SMTP: lab.SMTP{AuthPlaintext: true}}, func(h *house) {
		h.a.SMTP.Security = upstream.SecurityAuto
		h.a.AllowPlaintext = true
		h.mustSend()
		h.p.SetFaults(lab.Fault{Phase: upstream.PhaseEHLO, Kind: lab.StripStartTLS})
		h.iface.Store("hotel0")
		h.fresh()
		for _, s := range []upstream.Security{upstream.SecurityAuto, upstream.SecurityStartTLS} {
			h.a.SMTP.Security = s
			res := h.send()
			if res.Err == nil || res.Err.Class != upstream.ClassStartTLSStripped || res.Err.Kind() != upstream.KindTemporary {
				t.Errorf("%s: %+v", s, res.Err)
			}
		}
		h.wantAuths("PLAIN")
	})
}

// tokens is a Tokens that gives out a stale token first.
type tokens struct {
	mu       sync.Mutex
	list     []string
	rejected []string
}

func (o *tokens) Token(context.Context, upstream.Account) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list[0], nil
}

func (o *tokens) Reject(account, access string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rejected = append(o.rejected, access)
	if len(o.list) > 1 {
		o.list = o.list[1:]
	}
}

// A refused access token is followed by a fresh one, once.
func TestStaleAccessToken(t *testing.T) {
	in(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"PLAIN", "XOAUTH2"}}}, func(h *house) {
		o := &tokens{list: []string{"stale", lab.DefaultUser.Token}}
		h.r.o.Tokens = o
		h.a.OAuth.Provider = "lab"
		h.mustSend()
		h.wantAuths("XOAUTH2", "XOAUTH2")
		if !slices.Equal(o.rejected, []string{"stale"}) {
			t.Errorf("rejected %q", o.rejected)
		}
		o.list = []string{"bad", "worse", "worst"}
		h.fresh()
		if res := h.send(); res.Err == nil || !res.Err.Class.StopsAttempts() {
			t.Errorf("%+v", res.Err)
		}
		if len(o.rejected) != 3 {
			t.Errorf("rejected %q", o.rejected)
		}
	})
}

// Both wanted: AUTH, and a POP login upon the refusal; remembered.
func TestAuthAndPOP(t *testing.T) {
	o := lab.Options{Rules: lab.Rules{Auth: true, All: true, PBS: lab.PBS{Window: 10 * time.Minute}}}
	in(t, o, func(h *house) {
		h.a.Auth = upstream.AuthAuto
		if res := h.mustSend(); res.Auth != "plain" {
			t.Errorf("auth %q", res.Auth)
		}
		h.logins(1)
		time.Sleep(time.Hour)
		refused := h.p.Stats().Refused
		h.mustSend()
		h.logins(2)
		if n := h.p.Stats().Refused; n != refused {
			t.Error("refused although it was learned")
		}
	})
}
