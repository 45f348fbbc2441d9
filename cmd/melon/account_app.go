package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"melon/proxy/config"
	"melon/proxy/control/client"
	"melon/upstream"
)

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
