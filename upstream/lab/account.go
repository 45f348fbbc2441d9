package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"melon/upstream"
)

// envPrefix begins the environment references that Get resolves.
const envPrefix = "MELON_LAB_SECRET_"

// Server returns the address of a server ("smtp", "smtps", "pop", "pops") as
// an account has it, with the security that suits it: tls for the implicit
// ones, starttls where that is offered, none elsewhere.
func (p *Provider) Server(name string) upstream.Server {
	host, port, err := net.SplitHostPort(p.first(name))
	if err != nil {
		return upstream.Server{}
	}
	n, _ := strconv.Atoi(port) // a listener's own address
	s := upstream.Server{Host: host, Port: n, Security: upstream.SecurityStartTLS}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasSuffix(name, "s"):
		s.Security = upstream.SecurityTLS
	case name == "smtp" && lacks(p.smtp.Without, "STARTTLS"), name == "pop" && lacks(p.pop.Without, "STLS"):
		s.Security = upstream.SecurityNone
	}
	return s
}

// Account returns settings that work against this provider: its first user, on
// the plain ports of the first host, with STARTTLS where it is offered, and POP
// before SMTP where the rules have it. Change the copy to taste, for instance
// a.SMTP = p.Server("smtps").
func (p *Provider) Account(name string) upstream.Account {
	u := p.opts.Users[0]
	a := upstream.Account{
		Name: name, Address: u.Address, Username: u.Name, Auth: upstream.AuthAuto,
		SMTP: p.Server("smtp"), Password: p.secret(name, u.Password),
	}
	a.POP = upstream.POPServer{Server: p.Server("pop"), Username: u.Name, Password: a.Password}
	a.AllowPlaintext = a.SMTP.Security == upstream.SecurityNone || a.POP.Security == upstream.SecurityNone
	p.mu.Lock()
	pbs := p.rules.PBS
	authToo := p.rules.Auth
	p.mu.Unlock()
	a.PopBeforeSMTP = upstream.PopBeforeSMTP{Window: 5 * time.Minute, Finish: "login"}
	if pbs.Window > 0 {
		a.PopBeforeSMTP.Window = pbs.Window
		a.PopBeforeSMTP.Finish = [...]string{"login", "stat", "list", "quit"}[pbs.OpensAt]
		a.PopBeforeSMTP.Hold = pbs.Hold
		if !authToo {
			a.Auth = upstream.AuthPOPBeforeSMTP
		}
	}
	if p.opts.Dir != "" {
		ca := filepath.Join(p.opts.Dir, "ca.pem")
		if err := os.WriteFile(ca, p.CAPEM(), 0o644); err == nil {
			a.Trust.CA = ca
		}
	}
	return a
}

// secret returns a reference to the password: a 0600 file in Options.Dir, or
// an environment variable that is never set and that Get knows.
func (p *Provider) secret(name, password string) upstream.SecretRef {
	if p.opts.Dir != "" {
		file := filepath.Join(p.opts.Dir, name+".secret")
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err == nil {
			return upstream.SecretRef{File: file}
		}
	}
	return upstream.SecretRef{Env: envPrefix + p.opts.Users[0].Name}
}

// Get resolves the references that Account gives, those to files too. It lets a
// Provider stand in for the account's secrets in tests that run in parallel.
func (p *Provider) Get(_ context.Context, ref upstream.SecretRef) (string, error) {
	if ref.File != "" {
		b, err := os.ReadFile(ref.File)
		return strings.TrimRight(string(b), "\r\n"), err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[strings.TrimPrefix(ref.Env, envPrefix)]; u != nil && strings.HasPrefix(ref.Env, envPrefix) {
		return u.Password, nil
	}
	return "", fmt.Errorf("lab: no such secret (%s)", ref.Source())
}
