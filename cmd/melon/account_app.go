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
	login, muttUser := c.say("apps.nologin"), ""
	if cfg.Listen.Login == config.LoginRequired {
		login = c.say("apps.login", a.Name)
		muttUser = a.Name + "@"
	}
	fmt.Fprint(c.stdout, c.say("apps.settings", port, login, a.Address, muttUser))
	if cfg.Listen.Login != config.LoginOff && cfg.Listen.Login != config.LoginRequired {
		fmt.Fprint(c.stdout, c.say("apps.anylogin", a.Name))
	}
	if !running {
		fmt.Fprint(c.stdout, c.say("apps.start"))
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
