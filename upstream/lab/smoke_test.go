package lab

import (
	"context"
	"crypto/tls"
	"net"
	"net/smtp"
	"testing"
)

// TestStandardClient lets the standard library's client send through STARTTLS
// and AUTH PLAIN.
func TestStandardClient(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	c, err := smtp.Dial(p.SMTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{RootCAs: p.CertPool(), ServerName: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(p.SMTPAddr())
	if err := c.Auth(smtp.PlainAuth("", "taro", DefaultUser.Password, host)); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("taro@provider-a.example"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("hanako@other.example"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("Subject: x\r\n\r\n.dot\r\nend\r\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	ms, err := p.Wait(context.Background(), 1)
	if err != nil || string(ms[0].Data) != "Subject: x\r\n\r\n.dot\r\nend\r\n" {
		t.Fatalf("%v %+v", err, ms)
	}
	t.Logf("%+v", ms[0])
	t.Logf("%+v", p.Stats())
}
