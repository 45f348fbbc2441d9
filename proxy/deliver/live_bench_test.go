package deliver_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"

	"melon/proxy/config"
	"melon/proxy/deliver"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/relay"
)

// BenchmarkLive is one message from the app's MAIL to its 250, by a warm
// connection to a provider on loopback; the app and the provider are in it.
func BenchmarkLive(b *testing.B) {
	o := lab.Options{KeepBody: -1, Hosts: []string{"127.0.0.1"}, SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}}
	o.Rules.Open = true
	p := lab.Run(b, o)
	account := p.Account("home")
	account.Auth = upstream.AuthNone
	app := openLive(b, p, account)
	body := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("melon pan ", 7)+"\r\n", 28) + ".\r\n"
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range []string{"MAIL FROM:<taro@provider-a.example>\r\n", "RCPT TO:<hanako@elsewhere.example>\r\n", "DATA\r\n", body} {
			app.WriteString(c)
			app.Flush()
			if reply, err := app.ReadString('\n'); err != nil || reply[0] > '3' {
				b.Fatal(reply, err)
			}
		}
	}
}

// openLive starts all of Melon but its process, and connects.
func openLive(b *testing.B, p *lab.Provider, account upstream.Account) *bufio.ReadWriter {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CAPEM())
	r, err := relay.New(relay.Options{Dialer: &dial.Dialer{RootCAs: pool}, Secrets: p})
	if err != nil {
		b.Fatal(err)
	}
	box, err := outbox.Open(b.TempDir(), outbox.Options{Sender: nobody{}})
	if err != nil {
		b.Fatal(err)
	}
	cfg := &config.Config{Accounts: []upstream.Account{account}, Default: account.Name, Delivery: config.DeliveryLive}
	router := route.New(cfg)
	d := deliver.New(deliver.Options{
		Relay: upstreams{r}, Outbox: box,
		Settings: func() deliver.Settings { return deliver.Settings{Config: cfg, Router: router} },
	})
	s, err := smtpin.New(smtpin.Options{Handler: d, Listen: smtpin.Listen{SMTP: []string{"127.0.0.1:0"}}})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	conn, err := net.Dial("tcp", s.Addresses()[0].Addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		conn.Close()
		ctx := context.Background()
		s.Shutdown(ctx)
		d.Close(ctx)
		box.Close()
		r.Close()
	})
	app := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	fmt.Fprint(app, "EHLO laptop.example\r\n")
	app.Flush()
	app.ReadString('\n')
	for {
		line, err := app.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if line[3] == ' ' {
			return app
		}
	}
}
