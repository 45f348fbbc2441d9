package discover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"melon/upstream"
)

// Bounds for a configuration file, which is a stranger's word.
const (
	maxXML      = 256 << 10 // octets
	maxDepth    = 32        // nested elements
	maxElements = 5000
)

// errXML is in the chain of every error of the parser.
var errXML = errors.New("unusable configuration file")

// The elements of a config-v1.1.xml that say something about mail by POP3 and
// SMTP; everything else is passed over.
type xmlConfig struct {
	XMLName   xml.Name      `xml:"clientConfig"`
	Providers []xmlProvider `xml:"emailProvider"`
	OAuth     []xmlOAuth    `xml:"oAuth2"`
}

type xmlProvider struct {
	ID       string      `xml:"id,attr"`
	Name     string      `xml:"displayName"`
	Incoming []xmlServer `xml:"incomingServer"`
	Outgoing []xmlServer `xml:"outgoingServer"`
	OAuth    []xmlOAuth  `xml:"oAuth2"` // some files have it here
}

type xmlServer struct {
	Type     string   `xml:"type,attr"`
	Hostname string   `xml:"hostname"`
	Port     string   `xml:"port"`
	Socket   []string `xml:"socketType"`
	Username string   `xml:"username"`
	Auth     []string `xml:"authentication"`
	Restrict []string `xml:"restriction"`
}

type xmlOAuth struct {
	Issuer   string `xml:"issuer"`
	Scope    string `xml:"scope"`
	AuthURL  string `xml:"authURL"`
	TokenURL string `xml:"tokenURL"`
}

// parseXML reads a config-v1.1.xml for one address and returns the best
// servers in it. Files that are too large or too deep, that bring a DTD or
// processing instructions, or that are not UTF-8 are refused.
func parseXML(data []byte, a address) (Candidate, error) {
	if err := checkXML(data); err != nil {
		return Candidate{}, err
	}
	var conf xmlConfig
	if err := newDecoder(data).Decode(&conf); err != nil {
		return Candidate{}, fmt.Errorf("%w: %w", errXML, err)
	}
	for _, p := range conf.Providers {
		if c, ok := p.candidate(a, append(p.OAuth, conf.OAuth...)); ok {
			return c, nil
		}
	}
	return Candidate{}, fmt.Errorf("%w: it names no SMTP server", errXML)
}

// newDecoder returns a strict decoder: the five entities of XML and no others.
func newDecoder(data []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return in, nil
		}
		return nil, errors.New("it is not UTF-8")
	}
	return d
}

// checkXML looks at every token before any of it is understood.
func checkXML(data []byte) error {
	if len(data) > maxXML {
		return fmt.Errorf("%w: it is larger than %d octets", errXML, maxXML)
	}
	d := newDecoder(data)
	depth, elements := 0, 0
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errXML, err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return fmt.Errorf("%w: it brings a DTD", errXML)
		case xml.ProcInst:
			if t.Target != "xml" {
				return fmt.Errorf("%w: it brings a processing instruction", errXML)
			}
		case xml.StartElement:
			depth, elements = depth+1, elements+1
			if depth > maxDepth || elements > maxElements || len(t.Attr) > 100 {
				return fmt.Errorf("%w: it is too deep or has too many parts", errXML)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// candidate picks the best outgoing and the best POP3 server.
func (p xmlProvider) candidate(a address, oauth []xmlOAuth) (Candidate, bool) {
	c := Candidate{Provider: clean(p.Name)}
	best := -1
	for _, o := range p.Outgoing {
		s, rank, ok := o.server(a)
		if !ok || !strings.EqualFold(strings.TrimSpace(o.Type), "smtp") || rank <= best {
			continue
		}
		best = rank
		c.SMTP, c.Username, c.Logins = s, a.fill(o.Username), o.logins()
		c.Note = ""
		if slices.ContainsFunc(o.Restrict, func(r string) bool { return strings.EqualFold(strings.TrimSpace(r), "clientIPAddress") }) {
			c.Note = "The provider says that this server relays for its own network's addresses only."
		}
	}
	if best < 0 {
		return Candidate{}, false
	}
	best = -1
	for _, i := range p.Incoming {
		s, rank, ok := i.server(a)
		if !ok || !strings.EqualFold(strings.TrimSpace(i.Type), "pop3") || rank <= best {
			continue
		}
		best, c.POP = rank, s
		if c.Username == "" {
			c.Username = a.fill(i.Username)
		}
	}
	if c.Username == "" {
		c.Username = a.full
	}
	if c.Has(LoginOAuth) {
		c.OAuth = oauthOf(c.SMTP.Host, oauth)
	}
	return c, true
}

// server reads one server; the safer its connection, the higher its rank. A
// server that Melon cannot use is not ok.
func (x xmlServer) server(a address) (s upstream.Server, rank int, ok bool) {
	s.Host = strings.ToLower(a.fill(x.Hostname))
	port, err := strconv.Atoi(strings.TrimSpace(x.Port))
	if err != nil || port < 1 || port > 65535 || !validHost(s.Host) || len(x.Socket) == 0 {
		return s, 0, false
	}
	s.Port = port
	switch strings.ToLower(strings.TrimSpace(x.Socket[0])) {
	case "ssl", "tls":
		s.Security, rank = upstream.SecurityTLS, 2
	case "starttls":
		s.Security, rank = upstream.SecurityStartTLS, 1
	case "plain", "":
		s.Security, rank = upstream.SecurityNone, 0
	default:
		return s, 0, false
	}
	return s, rank, true
}

// logins translates the authentication elements, in their order.
func (x xmlServer) logins() (all []Login) {
	for _, v := range x.Auth {
		var l Login
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "password-cleartext", "plain", "password-encrypted", "secure":
			l = LoginPassword
		case "oauth2":
			l = LoginOAuth
		case "smtp-after-pop":
			l = LoginPOP
		case "client-ip-address", "none":
			l = LoginNone
		default: // NTLM, GSSAPI, TLS-client-cert: not Melon's
			continue
		}
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

// oauthOf picks the block for the server: one of the table's providers by its
// issuer, else the block's own URLs.
func oauthOf(host string, blocks []xmlOAuth) upstream.OAuth {
	for _, b := range blocks {
		issuer := strings.ToLower(strings.TrimSpace(b.Issuer))
		for name, hosts := range map[string][]string{
			"google": {"google.com"}, "microsoft": {"microsoftonline.com", "microsoft.com"}, "yahoo": {"login.yahoo.com"},
		} {
			if slices.ContainsFunc(hosts, func(h string) bool { return within(issuer, h) }) {
				return upstream.OAuth{Provider: name}
			}
		}
		auth, token := strings.TrimSpace(b.AuthURL), strings.TrimSpace(b.TokenURL)
		if webHost(auth) != "" && webHost(token) != "" {
			return upstream.OAuth{AuthURL: auth, TokenURL: token, Scopes: slices.DeleteFunc(strings.Fields(b.Scope), notScope)}
		}
	}
	for _, p := range Providers() {
		if p.OAuth != "" && strings.EqualFold(p.SMTP.Host, host) {
			return upstream.OAuth{Provider: p.OAuth}
		}
	}
	return upstream.OAuth{}
}

// webHost returns the host of a page where a person can be sent to sign in, or
// "": it is protected, and looks like what it is.
func webHost(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" || u.User != nil || !validHost(u.Hostname()) || page != upstream.CleanLine(page) {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// notScope reports whether s is no scope-token (RFC 6749 section 3.3).
func notScope(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// fill replaces the placeholders and trims. A name with a control character in
// it, or anything else that would not be shown as it is, is none.
func (a address) fill(s string) string {
	s = strings.NewReplacer("%EMAILADDRESS%", a.full, "%EMAILLOCALPART%", a.local, "%EMAILDOMAIN%", a.domain).Replace(strings.TrimSpace(s))
	if len(s) > 320 || s != upstream.CleanLine(s) {
		return ""
	}
	return s
}

// clean makes a stranger's text fit for one line on a screen.
func clean(s string) string {
	s = upstream.CleanLine(strings.Join(strings.Fields(s), " "))
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80])
	}
	return s
}
