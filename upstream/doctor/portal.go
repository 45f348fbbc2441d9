package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"melon/upstream"
)

const (
	probeTime    = 6 * time.Second
	probeConnect = 3 * time.Second // for one address
	maxProbeBody = 16 << 10
)

// portalFinding is what the probe and the announcement told.
type portalFinding struct {
	found    bool
	page     string // where to sign in, "" when it is not told
	answered bool   // the probe's own server answered: names and port 80 work
	nameless bool   // its name could not be looked up
}

// lookForPortal makes the probe, and reads the announcement beside it.
func (x *examination) lookForPortal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	x.probe(ctx)
	x.readOption(ctx)
}

// probe asks an address whose answer is known. A portal answers in its place: by
// a redirect, by status 511 (RFC 6585 section 6), or with a page of its own.
func (x *examination) probe(ctx context.Context) {
	start := time.Now()
	address, want := x.o.Probe.URL, x.o.Probe.Body
	if address == "off" {
		x.note(checkPortal, StatusSkip, start, x.say(sayProbeOff))
		return
	}
	if address == "" {
		address, want = DefaultProbe, defaultProbeBody
	}
	if x.network.known && !x.network.state.Online && x.o.Probe.URL == "" {
		x.note(checkPortal, StatusSkip, start, x.say(sayProbeOffline))
		return
	}
	res, body, err := x.get(ctx, address, "")
	if err != nil {
		var dns *net.DNSError
		x.portal.nameless = errors.As(err, &dns)
		x.note(checkPortal, StatusWarn, start, x.say(sayProbeSilent, hostOf(address), x.reason(err)))
		return
	}
	x.heardDate(hostOf(address), res.Header.Get("Date"))
	switch {
	case res.StatusCode/100 == 3, res.StatusCode == http.StatusNetworkAuthenticationRequired:
		x.portal.found, x.portal.page = true, pageOf(res)
		x.note(checkPortal, StatusFail, start, x.say(sayPortal, res.StatusCode, orNowhere(x.portal.page)))
	case res.StatusCode == http.StatusNoContent && want != "" && want == defaultProbeBody,
		expected(res, body, want):
		x.portal.answered = true
		x.note(checkPortal, StatusOK, start, x.say(sayNoPortal, hostOf(address)))
	case res.StatusCode == http.StatusOK:
		x.portal.found = true
		x.note(checkPortal, StatusFail, start, x.say(sayPortalPage, hostOf(address)))
	default:
		x.note(checkPortal, StatusWarn, start, x.say(sayProbeOdd, hostOf(address), res.StatusCode))
	}
}

// expected reports whether the answer is the one that there is without a portal.
func expected(res *http.Response, body, want string) bool {
	switch {
	case want != "":
		return res.StatusCode == http.StatusOK && strings.TrimSpace(body) == strings.TrimSpace(want)
	case res.StatusCode == http.StatusNoContent:
		return true
	case res.StatusCode != http.StatusOK:
		return false
	}
	text := strings.ToLower(strings.TrimSpace(body))
	if strings.Contains(text, "<title>success</title>") { // what Apple's address answers
		return true
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind != "text/html" && kind != "application/xhtml+xml" && !strings.HasPrefix(text, "<")
}

// get makes one request without following redirects; body is its beginning.
func (x *examination) get(ctx context.Context, address, accept string) (*http.Response, string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "", errAddress
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", errAddress
	}
	req.Header.Set("User-Agent", "Melon")
	req.Header.Set("Cache-Control", "no-cache")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	transport := &http.Transport{DialContext: x.dialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxProbeBody))
	if err != nil && len(b) == 0 {
		return nil, "", err
	}
	return res, string(b), nil
}

var errAddress = errors.New("not a web address")

// pageOf is where a redirect leads, if that is a web page.
func pageOf(res *http.Response) string {
	u, err := res.Location()
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return upstream.CleanLine(u.String())
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return upstream.CleanLine(address)
	}
	return u.Host
}

func orNowhere(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// capport is the answer of a portal's API (RFC 8908 section 5).
type capport struct {
	Captive bool   `json:"captive"`
	Page    string `json:"user-portal-url"`
}

// unrestricted is what a network without a portal announces (RFC 8910 section 2).
const unrestricted = "urn:ietf:params:capport:unrestricted"

// readOption looks for the portal that DHCP or a router announced (RFC 8910), as
// far as the system keeps it, and asks its API (RFC 8908).
func (x *examination) readOption(ctx context.Context) {
	start := time.Now()
	api := announcedPortal(x.o.Machine.Files)
	switch api {
	case "":
		x.note(checkOption, StatusSkip, start, x.say(sayOptionUnknown))
		return
	case unrestricted:
		x.note(checkOption, StatusOK, start, x.say(sayOptionFree))
		return
	}
	res, body, err := x.get(ctx, api, "application/captive+json")
	var answer capport
	if err == nil && (res.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &answer) != nil) {
		err = errors.New(res.Status)
	}
	switch {
	case err != nil:
		x.note(checkOption, StatusWarn, start, x.say(sayOptionSilent, api))
	case answer.Captive:
		x.portal.found = true
		if u, err := url.Parse(answer.Page); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			x.portal.page = upstream.CleanLine(answer.Page)
		}
		x.note(checkOption, StatusFail, start, x.say(sayOptionCaptive, orNowhere(x.portal.page)))
	default:
		x.note(checkOption, StatusOK, start, x.say(sayOptionOpen))
	}
}
