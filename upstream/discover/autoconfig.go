package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Bounds for one request.
const (
	httpTimeout  = 4 * time.Second
	maxRedirects = 3
)

// ispdb is Thunderbird's public database.
const ispdb = "https://autoconfig.thunderbird.net/v1.1/"

func newHTTPClient(t http.RoundTripper) *http.Client {
	if t == nil {
		t = &http.Transport{ // no proxy: it would see the address
			TLSHandshakeTimeout: httpTimeout, ResponseHeaderTimeout: httpTimeout,
			DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
		}
	}
	return &http.Client{
		Transport: t, Timeout: httpTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
				return errors.New("redirected too often, or to an unprotected page")
			}
			return nil
		},
	}
}

// autoconfig asks the provider itself over HTTPS, at both well-known places side
// by side. Only here the address is part of the request.
func (s *search) autoconfig(ctx context.Context) []Candidate {
	q := "?emailaddress=" + url.QueryEscape(s.a.full)
	return s.first(ctx, SourceAutoconfig,
		"https://autoconfig."+s.a.domain+"/mail/config-v1.1.xml"+q,
		"https://"+s.a.domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+q)
}

// autoconfigPlain does the same by HTTP: anybody on the way may have written the
// answer, and reads the request.
func (s *search) autoconfigPlain(ctx context.Context) []Candidate {
	found := s.first(ctx, SourceAutoconfig,
		"http://autoconfig."+s.a.domain+"/mail/config-v1.1.xml",
		"http://"+s.a.domain+"/.well-known/autoconfig/mail/config-v1.1.xml")
	for i := range found {
		found[i] = s.markForeign(found[i])
	}
	return found
}

// hostedAutoconfig asks those who host the domain's mail. Who that is was read
// from the DNS, which anybody on the way may have answered.
func (s *search) hostedAutoconfig(ctx context.Context) []Candidate {
	host := s.mx.wait(ctx)
	own := organisation(host)
	if host == "" || own == organisation(s.a.domain) {
		return nil
	}
	urls := []string{"https://autoconfig." + own + "/mail/config-v1.1.xml"}
	source := SourceAutoconfig
	if s.o.AllowISPDB {
		urls = append(urls, ispdb+own)
	}
	found := s.first(ctx, source, urls...)
	for i := range found {
		found[i] = s.markForeign(found[i])
	}
	return found
}

// ispdb asks Thunderbird's database about the domain, if it may.
func (s *search) ispdb(ctx context.Context) []Candidate {
	if !s.o.AllowISPDB {
		return nil
	}
	return s.first(ctx, SourceISPDB, ispdb+s.a.domain)
}

// first asks all places side by side and returns the answer of the first in
// order that has a good one.
func (s *search) first(ctx context.Context, source Source, urls ...string) []Candidate {
	results := make([]chan *Candidate, len(urls))
	for i, u := range urls {
		results[i] = make(chan *Candidate, 1)
		go func() { results[i] <- s.fetch(ctx, source, u) }()
	}
	var found []Candidate
	for _, r := range results { // all of them, so that nothing is left running
		if c := <-r; c != nil && len(found) == 0 {
			found = append(found, *c)
		}
	}
	return found
}

// fetch gets and reads one file; nil when there is no good one.
func (s *search) fetch(ctx context.Context, source Source, where string) *Candidate {
	data, err := s.get(ctx, where)
	if err != nil {
		return nil
	}
	c, err := parseXML(data, s.a)
	if err != nil {
		return nil
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil
	}
	u.RawQuery = ""
	c.Source, c.Where = source, u.String()
	return &c
}

func (s *search) get(ctx context.Context, where string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/xml, application/xml")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP status %d", errXML, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxXML+1))
}
