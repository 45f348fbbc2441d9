package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/lab"
)

// signedIn is a home whose account has signed in, with an access token that has
// expired.
func signedIn(t *testing.T, o lab.Options, so lab.OAuth) (*lab.Provider, *lab.OAuthServer, *home) {
	t.Helper()
	o.SMTP.Mechanisms = []string{"XOAUTH2"}
	provider := lab.Run(t, o)
	server, err := provider.StartOAuth(so)
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, "")
	s := server.Settings()
	h.write(accountYAML(h, provider, fmt.Sprintf("    oauth: {client_id: %s, auth_url: %s, token_url: %s}\ndefault: home\n", s.ClientID, s.AuthURL, s.TokenURL)))
	access, refresh := server.Grant()
	server.Expire()
	past := time.Now().Add(-time.Hour)
	h.plant(auth.Token{Access: access, Refresh: refresh, Issued: past.Add(-time.Hour), Expiry: past})
	return provider, server, h
}

// plant stores a sign-in where the account of accountYAML has its secret.
func (h *home) plant(token auth.Token) {
	h.t.Helper()
	text, err := json.Marshal(token)
	if err != nil {
		h.t.Fatal(err)
	}
	h.secret("password", string(text))
}

// TestExpiredTokenIsRefreshedOnce: fifty apps at once, one refresh.
func TestExpiredTokenIsRefreshedOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	provider, server, h := signedIn(t, lab.Options{}, lab.OAuth{})
	p := h.start()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			errs[i] = p.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, fmt.Sprintf(appMessage, fmt.Sprint(i)))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if _, err := provider.Wait(wait(t), n); err != nil {
		t.Fatal(err)
	}
	if s := server.Stats(); s.Refreshes != 1 || s.Reused != 0 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTokenEndpointInTrouble: mail waits, the sign-in stays, nobody is told that
// a password is wrong, and all goes out when the trouble is over.
func TestTokenEndpointInTrouble(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]lab.OAuthFault{
		"down": lab.OAuthDown, "500": lab.OAuthError500, "HTML": lab.OAuthHTML, "portal": lab.OAuthPortal, "busy": lab.OAuthBusy, "empty": lab.OAuthEmpty, "slow": lab.OAuthStall,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, server, h := signedIn(t, lab.Options{}, lab.OAuth{})
			h.config = h.queued()
			stored := filepath.Join(h.dir, "password")
			before, err := os.ReadFile(stored)
			if err != nil {
				t.Fatal(err)
			}
			server.SetFault(fault)
			p := h.start()
			p.mustSend(fmt.Sprintf(appMessage, "waits"))
			if fault != lab.OAuthStall {
				p.waitFor("outbox deferred")
			}
			s := jsonOf[api.Status](h, "status")
			if s.Accounts[0].State == api.AccountAttention || s.Outbox.Attention != 0 || s.Outbox.Waiting != 1 {
				t.Errorf("%+v", s)
			}
			if e := s.Accounts[0].LastError; e != nil && upstream.Class(e.Class).StopsAttempts() {
				t.Errorf("blamed: %+v", e)
			}
			if now, err := os.ReadFile(stored); err != nil || string(now) != string(before) {
				t.Errorf("the sign-in changed: %v", err)
			}
			server.SetFault(lab.OAuthFine)
			provider.Release()
			if _, errs, status := h.run("outbox", "send"); status != 0 {
				t.Fatal(errs)
			}
			if _, err := provider.Wait(wait(t), 1); err != nil {
				t.Fatalf("%v\n%s", err, p.output())
			}
		})
	}
}

// queued makes the configuration one where everything goes through the outbox.
func (h *home) queued() string {
	conf, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(string(conf) + "delivery: queue\n")
	return h.config
}

// TestKilledBetweenRotationAndUse: the new refresh token was stored before the
// access token was used, so the next start signs in with it.
func TestKilledBetweenRotationAndUse(t *testing.T) {
	t.Parallel()
	provider, server, h := signedIn(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseAuth, Kind: lab.Stall, Attempt: 1}}}, lab.OAuth{Lifetime: 2 * time.Minute})
	h.queued()
	p := h.start()
	p.mustSend(fmt.Sprintf(appMessage, "kept"))
	if err := provider.WaitFor(wait(t), func(lab.Stats) bool {
		return server.Stats().Refreshes == 1 && provider.Count(lab.SMTPProto, "AUTH") == 1
	}); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if status := p.stop(syscall.SIGKILL); status == 0 {
		t.Fatal("it ended by itself")
	}
	server.Expire()
	stored := filepath.Join(h.dir, "password")
	text, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}
	var token auth.Token
	if err := json.Unmarshal(text, &token); err != nil {
		t.Fatal(err)
	}
	token.Expiry = token.Issued // as after a night
	h.plant(token)
	p = h.start()
	if _, _, status := h.run("outbox", "send"); status != 0 {
		t.Error("outbox send")
	}
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if s := server.Stats(); s.Refreshes != 2 || s.Reused != 0 {
		t.Errorf("%+v", s)
	}
}
