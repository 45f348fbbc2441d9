package lab

import (
	"encoding/base64"
	"net"
	"net/smtp"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// scramClient is a sasl.Client over xdg-go/scram.
type scramClient struct {
	name string
	conv *scram.ClientConversation
}

func (s *scramClient) Start() (string, []byte, error) {
	out, err := s.conv.Step("")
	return s.name, []byte(out), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	out, err := s.conv.Step(string(challenge))
	return []byte(out), err
}

func newScram(t *testing.T, name string, h scram.HashGeneratorFcn, user, password string) sasl.Client {
	c, err := h.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return &scramClient{name, c.NewConversation()}
}

// cramClient is a sasl.Client over the standard library's CRAM-MD5.
type cramClient struct{ auth smtp.Auth }

func (c cramClient) Start() (string, []byte, error) {
	name, ir, err := c.auth.Start(&smtp.ServerInfo{Name: "localhost", TLS: true})
	return name, ir, err
}

func (c cramClient) Next(challenge []byte) ([]byte, error) { return c.auth.Next(challenge, true) }

var allMechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}

// saslClient returns another project's client of a mechanism.
func saslClient(t *testing.T, name, user, secret string) sasl.Client {
	switch name {
	case "PLAIN":
		return sasl.NewPlainClient("", user, secret)
	case "LOGIN":
		return sasl.NewLoginClient(user, secret)
	case "CRAM-MD5":
		return cramClient{smtp.CRAMMD5Auth(user, secret)}
	case "SCRAM-SHA-1":
		return newScram(t, name, scram.SHA1, user, secret)
	case "SCRAM-SHA-256":
		return newScram(t, name, scram.SHA256, user, secret)
	case "XOAUTH2":
		return xoauth2Client{user, secret}
	}
	return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: user, Token: secret})
}

type xoauth2Client struct{ user, token string }

func (x xoauth2Client) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}
func (x xoauth2Client) Next([]byte) ([]byte, error) { return []byte{}, nil }

// goSMTP connects go-smtp's client over TLS.
func goSMTP(t *testing.T, p *Provider) *gosmtp.Client {
	t.Helper()
	c := dial(t, p.SMTPSAddr())
	c.tls(p)
	cl := gosmtp.NewClient(c.nc)
	if err := cl.Hello("localhost"); err != nil {
		t.Fatal(err)
	}
	return cl
}

// TestMechanisms logs in with each mechanism of other projects' clients, with
// the right secret and with a wrong one.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{Mechanisms: allMechanisms}})
	for _, name := range allMechanisms {
		secret := DefaultUser.Password
		if strings.Contains(name, "OAUTH") {
			secret = DefaultUser.Token
		}
		c := goSMTP(t, p)
		if err := c.Auth(saslClient(t, name, "taro", "wrong")); err == nil || !strings.Contains(err.Error(), "invalid") && !strings.Contains(err.Error(), "401") {
			t.Errorf("%s with a wrong secret: %v", name, err)
		}
		c = goSMTP(t, p)
		if err := c.Auth(saslClient(t, name, "taro", secret)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := c.SendMail(own, []string{other}, strings.NewReader(message)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ms := p.Messages()
		if got := ms[len(ms)-1]; got.Auth != strings.ToLower(name) || string(got.Data) != message {
			t.Errorf("%s: recorded %q, %q", name, got.Auth, got.Data)
		}
	}
	if s := p.Stats(); s.Auths != len(allMechanisms) || s.AuthFailures != len(allMechanisms) {
		t.Errorf("%+v", s)
	}
}

// TestExternal logs in by the certificate of the handshake.
func TestExternal(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{Mechanisms: []string{"EXTERNAL"}, ClientCertUser: "taro"}})
	c := dial(t, p.SMTPSAddr())
	c.tls(p)
	c.want("220")
	c.cmd("EHLO x", "250")
	c.cmd("AUTH EXTERNAL =", "535")
	c = dial(t, p.SMTPSAddr())
	c.tls(p, p.ClientCertificate())
	c.want("220")
	c.cmd("EHLO x", "250")
	c.cmd("AUTH EXTERNAL =", "235")
}

// TestAuthRefusals tries what else can be said to AUTH.
func TestAuthRefusals(t *testing.T) {
	t.Parallel()
	good, bad := "AUTH PLAIN "+b64("\x00taro\x00"+DefaultUser.Password), "AUTH PLAIN "+b64("\x00taro\x00no")
	for _, tc := range []struct {
		name   string
		smtp   SMTP
		limits Limits
		talk   []string // command, reply, command, reply, ...
	}{
		{"dead mechanism", SMTP{Dead: []string{"PLAIN"}}, Limits{}, []string{good, "504 5.5.4"}},
		{"unknown mechanism", SMTP{}, Limits{}, []string{"AUTH NTLM", "504 5.5.4"}},
		{"basic disabled", SMTP{BasicDisabled: true}, Limits{}, []string{good, "535 5.7.139", bad, "535 5.7.139"}},
		{"locked", SMTP{}, Limits{AuthFailures: 2}, []string{bad, "535 5.7.8 Authentication", bad, "535 5.7.8 Authentication", good, "535 5.7.8 Account locked"}},
		{"not yet locked", SMTP{}, Limits{AuthFailures: 2}, []string{bad, "535", good, "235"}},
		{"cancelled", SMTP{}, Limits{}, []string{"AUTH LOGIN", "334 VXNlcm5hbWU6", "*", "501", good, "235"}},
		{"not base64", SMTP{}, Limits{}, []string{"AUTH PLAIN !", "501 5.5.2"}},
		{"challenge first", SMTP{}, Limits{}, []string{"AUTH PLAIN", "334 ", b64("\x00taro\x00" + DefaultUser.Password), "235"}},
		{"twice", SMTP{}, Limits{}, []string{good, "235", good, "503"}},
		{"without AUTH", SMTP{Without: []string{"AUTH"}}, Limits{}, []string{good, "502"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.smtp.AuthPlaintext = true
			p := Run(t, Options{SMTP: tc.smtp, Rules: Rules{Auth: true, Limits: tc.limits}})
			c := smtpTo(t, p)
			c.cmd("EHLO x", "250")
			for i := 0; i < len(tc.talk); i += 2 {
				c.cmd(tc.talk[i], tc.talk[i+1])
			}
		})
	}
}

// TestAuthNeedsTLS shows that a password is not taken in clear unless that is
// set.
func TestAuthNeedsTLS(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{RequireTLS: true}})
	c := smtpTo(t, p)
	if r := c.cmd("EHLO x", "250"); strings.Contains(r, "AUTH") {
		t.Errorf("offers AUTH in clear: %q", r)
	}
	c.cmd("AUTH PLAIN "+b64("\x00taro\x00x"), "530 5.7.0")
	c.cmd("MAIL FROM:<"+own+">", "530 5.7.0")
	c.starttls(p, "STARTTLS", "220")
	if r := c.cmd("EHLO x", "250"); !strings.Contains(r, "AUTH PLAIN LOGIN") || strings.Contains(r, "STARTTLS") {
		t.Errorf("after STARTTLS: %q", r)
	}
}

// TestFalseSignature shows that a SCRAM client can see through the lie, and
// that the lab lets in one that does not look.
func TestFalseSignature(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{Mechanisms: []string{"SCRAM-SHA-256"}, FalseSignature: true}})
	err := goSMTP(t, p).Auth(saslClient(t, "SCRAM-SHA-256", "taro", DefaultUser.Password))
	if err == nil || strings.Contains(err.Error(), "535") {
		t.Errorf("the client did not notice: %v", err)
	}
}

// TestStandardClient lets the standard library's client send through STARTTLS
// and AUTH PLAIN, in lockstep: eleven round trips.
func TestStandardClient(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	host, _, _ := net.SplitHostPort(p.SMTPAddr())
	raw := dial(t, p.SMTPAddr())
	c, err := smtp.NewClient(raw.nc, host)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(clientTLS(p)); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", "taro", DefaultUser.Password, host)); err != nil {
		t.Fatal(err)
	}
	const text = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
	if err := c.Mail(own); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(other); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	ms, err := p.Wait(within(t), 1)
	if err != nil || string(ms[0].Data) != text || ms[0].Trips.Message != 11 {
		t.Fatalf("%v %+v", err, ms)
	}
}
