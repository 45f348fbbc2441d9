package lab

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"melon/upstream"
)

const redirect = "http://127.0.0.1:9/back"

// startOAuth starts a provider with an authorization server, and the library's
// client for it.
func startOAuth(t *testing.T, o OAuth, now func() time.Time) (*Provider, *OAuthServer, *oauth2.Config, context.Context) {
	p := Run(t, Options{Now: now, SMTP: SMTP{Mechanisms: []string{"XOAUTH2", "OAUTHBEARER"}}})
	s, err := p.StartOAuth(o)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	set := s.Settings()
	return p, s, &oauth2.Config{
		ClientID: set.ClientID, ClientSecret: o.ClientSecret, RedirectURL: redirect, Scopes: set.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: set.AuthURL, TokenURL: set.TokenURL, DeviceAuthURL: set.DeviceURL, AuthStyle: oauth2.AuthStyleInParams},
	}, context.WithValue(t.Context(), oauth2.HTTPClient, client)
}

// press shows a page, fills in its form and presses a button; it returns where
// the browser is sent.
func press(t *testing.T, ctx context.Context, addr, button string) *url.URL {
	t.Helper()
	client := ctx.Value(oauth2.HTTPClient).(*http.Client)
	resp, err := client.Get(addr)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := url.Values{"decision": {button}}
	for _, m := range regexp.MustCompile(`type=hidden name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(string(b), -1) {
		form.Set(m[1], strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[2]))
	}
	action := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(string(b))
	if action == nil {
		t.Fatalf("no form in %s", b)
	}
	u, _ := url.Parse(addr)
	resp, err = client.PostForm(u.ResolveReference(&url.URL{Path: action[1]}).String(), form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		return nil
	}
	return to
}

// TestAuthorizationCode signs in by the page and the code, with PKCE, and uses
// the token.
func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	p, s, conf, ctx := startOAuth(t, OAuth{ClientID: "melon", ClientSecret: "secret"}, nil)
	verifier := oauth2.GenerateVerifier()
	ask := conf.AuthCodeURL("a+state", oauth2.S256ChallengeOption(verifier))
	to := press(t, ctx, ask, "allow")
	code := to.Query().Get("code")
	if !strings.HasPrefix(to.String(), redirect+"?") || to.Query().Get("state") != "a+state" || code == "" {
		t.Fatalf("sent to %s", to)
	}
	tok, err := conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if err := goSMTP(t, p).Auth(saslClient(t, "XOAUTH2", "taro", tok.AccessToken)); err != nil {
		t.Errorf("a fresh token: %v", err)
	}
	for _, name := range []string{"used code", "wrong verifier", "no PKCE"} {
		code, v, opts := code, verifier, []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
		switch name {
		case "no PKCE":
			opts = nil
			code = press(t, ctx, conf.AuthCodeURL("x", opts...), "allow").Query().Get("code")
		case "wrong verifier":
			v = oauth2.GenerateVerifier()
			code = press(t, ctx, conf.AuthCodeURL("x", opts...), "allow").Query().Get("code")
		}
		var re *oauth2.RetrieveError
		if _, err := conf.Exchange(ctx, code, oauth2.VerifierOption(v)); !errors.As(err, &re) || re.ErrorCode != "invalid_grant" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if to := press(t, ctx, ask, "deny"); to.Query().Get("error") != "access_denied" {
		t.Errorf("denied: %s", to)
	}
	conf.ClientSecret = "wrong"
	var re *oauth2.RetrieveError
	if _, err := conf.Exchange(ctx, code, oauth2.VerifierOption(verifier)); !errors.As(err, &re) || re.ErrorCode != "invalid_client" {
		t.Errorf("wrong client secret: %v", err)
	}
	if st := s.Stats(); st.Consents != 3 || st.Codes != 1 || st.NoPKCE != 1 || st.WrongVerifier != 1 {
		t.Errorf("%+v", st)
	}
}

// refresh asks for a new token.
func refresh(ctx context.Context, conf *oauth2.Config, token string) (*oauth2.Token, error) {
	return conf.TokenSource(ctx, &oauth2.Token{RefreshToken: token}).Token()
}

// TestRefresh is the life of tokens: expiry, rotation, reuse, revocation.
func TestRefresh(t *testing.T) {
	t.Parallel()
	clk := newClock()
	p, s, conf, ctx := startOAuth(t, OAuth{Lifetime: time.Minute}, clk.Now)
	auth := func(token string) error { return goSMTP(t, p).Auth(saslClient(t, "OAUTHBEARER", "taro", token)) }
	access, first := s.Grant()
	if err := auth(access); err != nil {
		t.Errorf("fresh: %v", err)
	}
	clk.add(time.Minute)
	if err := auth(access); err == nil {
		t.Error("an expired token passes")
	}
	second, err := refresh(ctx, conf, first)
	if err != nil || second.RefreshToken == first || auth(second.AccessToken) != nil {
		t.Fatalf("refresh: %+v %v", second, err)
	}
	s.Expire()
	if auth(second.AccessToken) == nil {
		t.Error("passes after Expire")
	}
	if _, err := refresh(ctx, conf, first); err == nil {
		t.Error("a used refresh token passes")
	}
	if _, err := refresh(ctx, conf, second.RefreshToken); err == nil {
		t.Error("the grant lives on after reuse")
	}
	_, third := s.Grant()
	s.Revoke()
	if _, err := refresh(ctx, conf, third); err == nil {
		t.Error("a revoked grant passes")
	}
	_, fourth := s.Grant()
	client := ctx.Value(oauth2.HTTPClient).(*http.Client)
	resp, err := client.PostForm(s.URL()+"/revoke", url.Values{"token": {fourth}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if st := s.Stats(); st.Revoked != 1 || st.Reused != 1 || st.Refreshes != 1 || st.Refused != 3 {
		t.Errorf("%+v", st)
	}
}

// TestRefreshKept covers servers that keep refresh tokens, and those with a
// time of grace.
func TestRefreshKept(t *testing.T) {
	t.Parallel()
	clk := newClock()
	for _, o := range []OAuth{{KeepRefresh: true}, {ReuseGrace: time.Minute}} {
		_, s, conf, ctx := startOAuth(t, o, clk.Now)
		_, token := s.Grant()
		for range 2 {
			if _, err := refresh(ctx, conf, token); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
		}
		clk.add(time.Hour)
		if _, err := refresh(ctx, conf, token); (err == nil) != o.KeepRefresh {
			t.Errorf("%+v, later: %v", o, err)
		}
	}
}

// TestDevice signs in by the device flow, pressed in a browser.
func TestDevice(t *testing.T) {
	t.Parallel()
	clk := newClock()
	p, s, conf, ctx := startOAuth(t, OAuth{}, clk.Now)
	begin := func() *oauth2.DeviceAuthResponse {
		t.Helper()
		d, err := conf.DeviceAuth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d.Interval != 5 || d.UserCode == "" || d.VerificationURIComplete == "" {
			t.Errorf("%+v", d)
		}
		return d
	}
	// poll asks once, as the library waits out the interval by itself.
	poll := func(d *oauth2.DeviceAuthResponse) (code string, token string) {
		t.Helper()
		_, err := conf.Exchange(ctx, "", oauth2.SetAuthURLParam("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
			oauth2.SetAuthURLParam("device_code", d.DeviceCode))
		var re *oauth2.RetrieveError
		if errors.As(err, &re) {
			return re.ErrorCode, ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return "", "ok"
	}
	d := begin()
	for _, want := range []string{"authorization_pending", "slow_down"} {
		if got, _ := poll(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	press(t, ctx, d.VerificationURIComplete, "allow")
	if got, tok := poll(d); got != "" || tok == "" {
		t.Errorf("allowed: %q", got)
	}
	if got, _ := poll(d); got != "invalid_grant" {
		t.Errorf("twice: %q", got)
	}
	d = begin()
	if err := s.Decide(d.UserCode, false); err != nil {
		t.Fatal(err)
	}
	if got, _ := poll(d); got != "access_denied" {
		t.Errorf("denied: %q", got)
	}
	d = begin()
	clk.add(time.Hour)
	if got, _ := poll(d); got != "expired_token" {
		t.Errorf("late: %q", got)
	}
	if err := s.Decide(d.UserCode, true); err == nil {
		t.Error("decided too late")
	}
	_ = p
}

// TestOAuthFaults asks for a token under each fault.
func TestOAuthFaults(t *testing.T) {
	t.Parallel()
	p, s, conf, ctx := startOAuth(t, OAuth{}, nil)
	_, token := s.Grant()
	for fault, status := range map[OAuthFault]int{
		OAuthDown: 0, OAuthError500: 500, OAuthHTML: 200, OAuthPortal: 302, OAuthBusy: 503, OAuthInvalidGrant: 400, OAuthEmpty: 200, OAuthLostAnswer: 0,
	} {
		s.SetFault(fault)
		client := ctx.Value(oauth2.HTTPClient).(*http.Client)
		resp, err := client.PostForm(s.URL()+"/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"x"}, "refresh_token": {"none"}})
		got := 0
		if err == nil {
			got = resp.StatusCode
			resp.Body.Close()
		}
		if got != status {
			t.Errorf("fault %d: status %d, want %d (%v)", fault, got, status, err)
		}
	}
	s.SetFault(OAuthHuge)
	if _, err := refresh(ctx, conf, token); err == nil {
		t.Error("the library read a mebibyte")
	}
	s.SetFault(OAuthStall)
	short, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := refresh(short, conf, token)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("stalled: %v", err)
	}
	s.SetFault(OAuthFine)
	if _, err := refresh(ctx, conf, token); err != nil {
		t.Errorf("after all: %v", err)
	}
	if _, err := p.StartOAuth(OAuth{}); err == nil {
		t.Error("two OAuth servers")
	}
}

// TestAutoconfig fetches the file at both places by HTTP and HTTPS.
func TestAutoconfig(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}}, SMTP: SMTP{Without: []string{"STARTTLS"}}})
	a, err := p.StartAutoconfig("")
	if err != nil {
		t.Fatal(err)
	}
	conf := clientTLS(p)
	conf.ServerName = ""
	tr := &http.Transport{DialContext: a.DialContext, TLSClientConfig: conf, DisableKeepAlives: true}
	client := &http.Client{Transport: tr}
	for addr, want := range map[string]int{
		"http://autoconfig.provider-a.example/mail/config-v1.1.xml":              200,
		"https://provider-a.example/.well-known/autoconfig/mail/config-v1.1.xml": 200,
		"https://provider-a.example/other":                                       404,
	} {
		resp, err := client.Get(addr)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && !strings.Contains(string(b), "<authentication>smtp-after-pop</authentication>") {
			t.Errorf("%s: %d %s", addr, resp.StatusCode, b)
		}
	}
	if n := len(a.Requests()); n != 3 {
		t.Errorf("%d requests noted", n)
	}
	acc := p.Account("x")
	acc.Auth, acc.SMTP.Security = upstream.AuthXOAUTH2, upstream.SecurityTLS
	if x := p.ConfigXML(acc); !strings.Contains(x, "<authentication>OAuth2<") || !strings.Contains(x, "<socketType>SSL<") {
		t.Errorf("%s", x)
	}
}
