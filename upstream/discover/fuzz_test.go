package discover

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"melon/upstream"
)

// liar is a network that answers all questions: every host has the one MX and
// the one SRV record, and every web page is the one file.
type liar struct {
	mx, target string
	port       uint16
	file       string
}

func (l liar) LookupMX(context.Context, string) ([]*net.MX, error) {
	return []*net.MX{{Host: "."}, {Host: l.mx}}, nil
}

func (l liar) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", []*net.SRV{{Target: ".", Port: 1}, {Target: l.target, Port: l.port}}, nil
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(l.file)), Request: r}, nil
}

// FuzzNetwork: whatever name servers and web servers say about whatever address,
// each candidate can be shown, dialled and opened, and servers outside of the
// address's domain are the table's or named as foreign.
func FuzzNetwork(f *testing.F) {
	good := head + server("outgoing", "smtp", "smtp.x.example", "465", "SSL", "%EMAILADDRESS%", "OAuth2") + tail
	oauth := `<oAuth2><issuer>x</issuer><scope>mail &#x202e;</scope><authURL>https://x.example/&#x9b;</authURL><tokenURL>https://</tokenURL></oAuth2>` +
		`<oAuth2><scope>mail &#x202e; "</scope><authURL>https://x.example/a</authURL><tokenURL>https://y.example:8443/t</tokenURL></oAuth2></clientConfig>`
	for _, a := range []string{"taro@provider-a.example", "a@例え.example", "a@b.example.", "\u202ea@b.example", "a@xn--.example", "a@b@c.example", "a\xff@b.example", "a@-.example"} {
		f.Add(a, "mx.provider-b.example.", "SMTP.provider-a.example.", uint16(465), good)
		f.Add(a, "mx.provider-b.example.", ".", uint16(25), head+server("outgoing", "smtp", "%EMAILDOMAIN%", "587", "STARTTLS", "%EMAILLOCALPART%", "none")+tail)
		f.Add(a, "aspmx.l.google.com.", "x\x1b.example", uint16(0), strings.Replace(good, "</clientConfig>", oauth, 1))
	}
	table := Providers()
	f.Fuzz(func(t *testing.T, addr, mx, target string, port uint16, file string) {
		a, err := parse(addr)
		if err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%v is not typed", err)
			}
			return
		}
		if !validHost(a.domain) || a.domain != strings.ToLower(a.domain) || a.local == "" || !strings.HasPrefix(a.full, a.local+"@") {
			t.Fatalf("%q became %+v", addr, a)
		}
		if again, err := parse(a.local + "@" + a.domain); err == nil && again.domain != a.domain {
			t.Errorf("%q became %q", a.domain, again.domain)
		}
		world := liar{mx, target, port, file}
		s := newSearch(Options{Resolver: world, Transport: world, AllowISPDB: true}, a, table)
		s.mx.run(t.Context())
		if h := s.mx.host; h != "" && (!validHost(h) || net.ParseIP(h) != nil) {
			t.Errorf("MX %q", h)
		}
		for i, ask := range []func(context.Context) []Candidate{s.hosted, s.srv, s.autoconfigPlain, s.hostedAutoconfig} {
			for _, c := range ask(t.Context()) {
				checkCandidate(t, a, c)
				for _, h := range []string{c.SMTP.Host, c.POP.Host, webHost(c.OAuth.AuthURL), webHost(c.OAuth.TokenURL)} {
					if i > 0 && h != "" && !within(h, organisation(a.domain)) && !slices.Contains(c.Foreign, h) && !known(table, h) {
						t.Errorf("%s is not foreign to %s", h, a.domain)
					}
				}
			}
		}
	})
}

// checkCandidate: what a candidate says can be shown and used as it is.
func checkCandidate(t *testing.T, a address, c Candidate) {
	t.Helper()
	words := append([]string{c.Where, c.Provider, c.SMTP.Host, c.POP.Host, c.Username, c.Note}, c.OAuth.Scopes...)
	for _, w := range append(words, c.Foreign...) {
		if w != upstream.CleanLine(w) {
			t.Errorf("%q cannot be shown", w)
		}
	}
	for _, u := range []string{c.OAuth.AuthURL, c.OAuth.TokenURL} {
		parsed, err := url.Parse(u)
		if u != "" && (err != nil || parsed.Scheme != "https" || parsed.Host == "" || u != upstream.CleanLine(u)) {
			t.Errorf("%q cannot be opened", u)
		}
	}
	if c.SMTP.Host != "" && (!validHost(c.SMTP.Host) || c.SMTP.Port < 1 || c.SMTP.Port > 65535) || c.POP.Host != "" && !validHost(c.POP.Host) {
		t.Errorf("%+v of %+v", c, a)
	}
}
