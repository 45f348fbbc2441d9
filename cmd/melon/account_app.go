package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net"
	"os"
	"strings"
	"time"

	"crypto/rand"

	"melon/proxy/config"
	"melon/proxy/control/client"
	"melon/upstream"
)

// wholeBody is a message in memory.
type wholeBody []byte

// Open implements upstream.Body.
func (b wholeBody) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Size implements upstream.Body.
func (b wholeBody) Size() (int64, bool) { return int64(len(b)), true }

// testMessage is what an account sends to itself (RFC 5322).
func testMessage(a upstream.Account, lang string, now time.Time) upstream.Body {
	subject, text := "Melon works", "This message was sent by Melon when the account was set up. Your mail goes out.\r\n"
	if lang == "ja" {
		subject, text = "Melon から送信できました", "このメールは、アカウントの設定時に Melon が送信したものです。メールは送信できます。\r\n"
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", "<" + a.Address + ">"}, {"To", "<" + a.Address + ">"},
		{"Subject", mime.BEncoding.Encode("utf-8", subject)},
		{"Date", now.Format("Mon, 2 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	for data := base64.StdEncoding.EncodeToString([]byte(text)); data != ""; {
		n := min(76, len(data)) // RFC 2045 section 6.8
		b.WriteString(data[:n] + "\r\n")
		data = data[n:]
	}
	return wholeBody(b.Bytes())
}

// localPort says where apps connect: to the running relay, or where it would
// listen.
func (c *cli) localPort(ctx context.Context, cfg *config.Config) (port string, running bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addrs := cfg.Listen.SMTP
	_ = c.withClient(func(cl *client.Client) error {
		s, err := cl.Status(ctx)
		for _, l := range s.Listeners {
			if l.Kind == "smtp" && !running {
				addrs, running = []string{l.Address}, true
			}
		}
		return err
	})
	for _, a := range addrs {
		if _, p, err := net.SplitHostPort(a); err == nil && p != "0" {
			return p, running
		}
	}
	return "2525", running
}

// printMailApps prints what to type into mail apps, to standard output.
func (c *cli) printMailApps(ctx context.Context, p config.Paths, a upstream.Account) error {
	cfg, err := c.loadConfig(p)
	if err != nil {
		return err
	}
	port, running := c.localPort(ctx, cfg)
	login, muttUser := "none (\"No authentication\")", ""
	if cfg.Listen.Login == config.LoginRequired {
		login = fmt.Sprintf("user name %s, with the local password (listen.password)", a.Name)
		muttUser = a.Name + "@"
	}
	fmt.Fprintf(c.stdout, `
Tell your mail app to send by Melon:

  outgoing server (SMTP)  localhost
  port                    %[1]s
  encryption              none (the connection stays inside this computer)
  login                   %[2]s

Thunderbird  Account Settings, Outgoing Server (SMTP), Add: server name localhost,
             port %[1]s, connection security None, authentication method
             No authentication; then choose it for the account %[3]s.
Apple Mail   Settings, Accounts, Server Settings, outgoing: Edit SMTP Server List,
             +: host name localhost, port %[1]s, "Automatically manage connection
             settings" off, "Use TLS/SSL" off, authentication None.
Outlook      (classic) Account Settings, Change, More Settings: outgoing server
             localhost, port %[1]s, encryption None, "requires authentication" off.
mutt         set smtp_url="smtp://%[4]slocalhost:%[1]s/"   set ssl_starttls=no   set from="%[3]s"

`, port, login, a.Address, muttUser)
	if cfg.Listen.Login != config.LoginOff && cfg.Listen.Login != config.LoginRequired {
		fmt.Fprintf(c.stdout, "An app that insists on a login: user name %s, any password.\n", a.Name)
	}
	if !running {
		fmt.Fprintln(c.stdout, "Start the relay with: melon run")
	}
	return nil
}

// editor is the person's own, for `account edit` without settings.
func (c *cli) editor(goos string) []string {
	for _, v := range []string{"VISUAL", "EDITOR"} {
		if words := strings.Fields(c.getenv(v)); len(words) > 0 {
			return words
		}
	}
	if goos == "windows" {
		return []string{"notepad"}
	}
	return []string{"vi"}
}

// ownFiles gives a program the streams that are files: an editor needs the
// terminal itself.
func (c *cli) ownFiles() (in io.Reader, out, errs io.Writer) {
	if f, ok := c.stdin.(*os.File); ok {
		in = f
	}
	return in, c.stdout, c.stderr
}
