package discover

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"melon/upstream"
)

var taro = address{full: "taro@provider-a.example", local: "taro", domain: "provider-a.example"}

const (
	head = `<?xml version="1.0" encoding="UTF-8"?><clientConfig version="1.1"><emailProvider id="provider-a.example"><domain>provider-a.example</domain><displayName>Provider A</displayName>`
	tail = `</emailProvider></clientConfig>`
)

func server(kind, typ, host, port, socket, user string, auth ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<%sServer type="%s"><hostname>%s</hostname><port>%s</port><socketType>%s</socketType><username>%s</username>`, kind, typ, host, port, socket, user)
	for _, a := range auth {
		fmt.Fprintf(&b, "<authentication>%s</authentication>", a)
	}
	return b.String() + "</" + kind + "Server>"
}

// TestXML is every shape that the published schema allows and Melon cares about.
func TestXML(t *testing.T) {
	t.Parallel()
	smtp465 := server("outgoing", "smtp", "smtp.provider-a.example", "465", "SSL", "%EMAILADDRESS%", "password-cleartext")
	tls := upstream.Server{Host: "smtp.provider-a.example", Port: 465, Security: upstream.SecurityTLS}
	for _, c := range []struct {
		name, xml string
		want      Candidate
	}{
		{"one server", head + smtp465 + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"POP3 among IMAP", head + server("incoming", "imap", "imap.x.example", "993", "SSL", "x", "password-cleartext") +
			server("incoming", "pop3", "pop.%EMAILDOMAIN%", "995", "SSL", "%EMAILADDRESS%", "password-cleartext") + smtp465 + tail,
			Candidate{SMTP: tls, POP: upstream.Server{Host: "pop.provider-a.example", Port: 995, Security: upstream.SecurityTLS}, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"the safest of several", head + server("outgoing", "smtp", "a.example", "25", "plain", "%EMAILLOCALPART%", "password-cleartext") +
			server("outgoing", "smtp", "b.example", "587", "STARTTLS", "%EMAILLOCALPART%", "password-encrypted") + smtp465 +
			server("outgoing", "smtp", "later.example", "465", "SSL", "x", "none") + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"STARTTLS before plain, all placeholders", head + server("outgoing", "smtp", "a.example", "25", "plain", "x", "none") +
			server("outgoing", "smtp", "smtp.%EMAILDOMAIN%", "587", "STARTTLS", "%EMAILLOCALPART%.%EMAILDOMAIN%", "password-cleartext") + tail,
			Candidate{SMTP: upstream.Server{Host: "smtp.provider-a.example", Port: 587, Security: upstream.SecurityStartTLS}, Username: "taro.provider-a.example", Logins: []Login{LoginPassword}}},
		{"POP before SMTP", head + server("incoming", "pop3", "pop.x.example", "110", "plain", "%EMAILLOCALPART%", "password-cleartext") +
			server("outgoing", "smtp", "smtp.x.example", "25", "plain", "", "smtp-after-pop") + tail,
			Candidate{SMTP: upstream.Server{Host: "smtp.x.example", Port: 25, Security: upstream.SecurityNone}, POP: upstream.Server{Host: "pop.x.example", Port: 110, Security: upstream.SecurityNone}, Username: "taro", Logins: []Login{LoginPOP}}},
		{"several ways in", head + server("outgoing", "smtp", "smtp.x.example", " 465 ", "ssl", "u", "OAuth2", "password-cleartext", "GSSAPI", "SMTP-after-POP", "client-IP-address") + tail,
			Candidate{SMTP: upstream.Server{Host: "smtp.x.example", Port: 465, Security: upstream.SecurityTLS}, Username: "u", Logins: []Login{LoginOAuth, LoginPassword, LoginPOP, LoginNone}}},
		{"old words", head + server("outgoing", "smtp", "smtp.x.example", "465", "SSL", "u", "plain", "secure") + tail,
			Candidate{SMTP: upstream.Server{Host: "smtp.x.example", Port: 465, Security: upstream.SecurityTLS}, Username: "u", Logins: []Login{LoginPassword}}},
		{"restricted to addresses", head + strings.Replace(smtp465, "</outgoing", "<restriction>clientIPAddress</restriction></outgoing", 1) + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}, Note: "The provider says that this server relays for its own network's addresses only."}},
		{"OAuth block outside", strings.Replace(head+strings.Replace(smtp465, "password-cleartext", "OAuth2", 1)+tail, "</clientConfig>",
			"<oAuth2><issuer>login.x.example</issuer><scope>mail  offline</scope><authURL>https://login.x.example/a</authURL><tokenURL>https://login.x.example/t</tokenURL></oAuth2></clientConfig>", 1),
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginOAuth},
				OAuth: upstream.OAuth{AuthURL: "https://login.x.example/a", TokenURL: "https://login.x.example/t", Scopes: []string{"mail", "offline"}}}},
		{"OAuth block inside, of a known provider", head + strings.Replace(smtp465, "password-cleartext", "OAuth2", 1) +
			"<oAuth2><issuer>accounts.google.com</issuer><scope>x</scope><authURL>https://a</authURL><tokenURL>https://t</tokenURL></oAuth2>" + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginOAuth}, OAuth: upstream.OAuth{Provider: "google"}}},
		{"OAuth with URLs in clear", head + strings.Replace(smtp465, "password-cleartext", "OAuth2", 1) +
			"<oAuth2><issuer>x.example</issuer><authURL>http://a</authURL><tokenURL>http://t</tokenURL></oAuth2>" + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginOAuth}}},
		{"OAuth of a server in the table", head + server("outgoing", "smtp", "smtp.office365.com", "587", "STARTTLS", "%EMAILADDRESS%", "OAuth2") + tail,
			Candidate{SMTP: upstream.Server{Host: "smtp.office365.com", Port: 587, Security: upstream.SecurityStartTLS}, Username: "taro@provider-a.example", Logins: []Login{LoginOAuth}, OAuth: upstream.OAuth{Provider: "microsoft"}}},
		{"unknown parts, other documents' namespaces", strings.Replace(head, "<domain>", `<x:y xmlns:x="urn:x"><z/></x:y><documentation url="https://x"><descr lang="en">d</descr></documentation><domain>`, 1) + smtp465 +
			tail[:len(tail)-len("</clientConfig>")] + `<webMail><loginPage url="https://x"/></webMail></clientConfig>`,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"the second provider is the usable one", head + `</emailProvider><emailProvider id="b"><displayName>Provider A</displayName>` + smtp465 + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"a mark of UTF-8", "\ufeff" + head + smtp465 + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
		{"no user name", head + server("outgoing", "smtp", "smtp.provider-a.example", "465", "SSL", "", "password-cleartext") + tail,
			Candidate{SMTP: tls, Username: "taro@provider-a.example", Logins: []Login{LoginPassword}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseXML([]byte(c.xml), taro)
			c.want.Provider = "Provider A"
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v\ngot  %+v\nwant %+v", err, got, c.want)
			}
		})
	}
}

func TestHostileXML(t *testing.T) {
	t.Parallel()
	good := head + server("outgoing", "smtp", "smtp.x.example", "465", "SSL", "u", "none") + tail
	for name, xml := range map[string]string{
		"empty":                    "",
		"HTML":                     "<!DOCTYPE html><html><body>Sign in to the hotel's network</body></html>",
		"DTD":                      strings.Replace(good, "<clientConfig", `<!DOCTYPE clientConfig [<!ENTITY a "b">]><clientConfig`, 1),
		"entity":                   strings.Replace(good, "Provider A", "&a;", 1),
		"processing instruction":   strings.Replace(good, "<clientConfig", `<?xml-stylesheet href="x"?><clientConfig`, 1),
		"another encoding":         strings.Replace(good, "UTF-8", "UTF-16", 1),
		"too large":                strings.Replace(good, "Provider A", strings.Repeat("a", maxXML), 1),
		"too deep":                 strings.Replace(good, "<domain>", strings.Repeat("<a>", maxDepth)+strings.Repeat("</a>", maxDepth)+"<domain>", 1),
		"too many parts":           strings.Replace(good, "<domain>", strings.Repeat("<a/>", maxElements)+"<domain>", 1),
		"cut off":                  good[:len(good)-20],
		"IMAP alone":               head + server("incoming", "imap", "i.example", "993", "SSL", "u", "none") + tail,
		"no host":                  strings.Replace(good, "smtp.x.example", "", 1),
		"a host that is none":      strings.Replace(good, "smtp.x.example", "smtp.x.example/../../etc", 1),
		"a host with a line end":   strings.Replace(good, "smtp.x.example", "smtp.x&#10;.example", 1),
		"an option for a host":     strings.Replace(good, "smtp.x.example", "-oProxyCommand", 1),
		"a port beyond the limits": strings.Replace(good, "465", "65536", 1),
		"a port that is none":      strings.Replace(good, "465", "4 65", 1),
		"a socket that is none":    strings.Replace(good, "SSL", "SSH", 1),
		"another document":         "<feed/>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if xml != "" && !strings.Contains(xml, "<") || xml == good {
				t.Fatal("the test's own text is wrong")
			}
			if c, err := parseXML([]byte(xml), taro); !errors.Is(err, errXML) {
				t.Errorf("%v, %+v", err, c)
			}
		})
	}
	c, err := parseXML([]byte(strings.Replace(good, "Provider A", "A&#x202e;\x20\n B"+strings.Repeat("x", 300), 1)), taro)
	if err != nil || len([]rune(c.Provider)) > 80 || strings.ContainsAny(c.Provider, "\n\u202e") {
		t.Errorf("%v, %q", err, c.Provider)
	}
}

// FuzzXML holds that whatever a file says, what comes out can be shown, dialled
// and written into a configuration.
func FuzzXML(f *testing.F) {
	f.Add([]byte(head + server("outgoing", "smtp", "smtp.%EMAILDOMAIN%", "465", "SSL", "%EMAILADDRESS%", "OAuth2", "smtp-after-pop") +
		server("incoming", "pop3", "pop.x.example", "110", "plain", "%EMAILLOCALPART%", "none") + tail))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a 'b'>]><clientConfig/>"))
	f.Add([]byte(head + tail))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseXML(data, taro)
		if err != nil {
			if !errors.Is(err, errXML) {
				t.Errorf("%v is not typed", err)
			}
			return
		}
		for _, s := range []upstream.Server{c.SMTP, c.POP} {
			if s.Host == "" && s == c.POP {
				continue
			}
			if !validHost(s.Host) || s.Port < 1 || s.Port > 65535 || s.Security == "" {
				t.Errorf("server %+v", s)
			}
		}
		if c.Username == "" || strings.ContainsAny(c.Username+c.Provider, "\r\n\x00") {
			t.Errorf("%q, %q", c.Username, c.Provider)
		}
	})
}
