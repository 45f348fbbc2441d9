package sendmail

import (
	"crypto/rand"
	"fmt"
	"net/mail"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/route"
)

// person is who sends from this machine: the accounts and the user's own name.
type person struct {
	cfg      *config.Config
	accounts []api.Account // of the running relay, when the file cannot be read
	login    string        // user@host
}

// thisPerson finds out who sends. A configuration that cannot be read stops no
// mail: the running relay knows its accounts.
func (c *Call) thisPerson(r *relay) person {
	who := person{cfg: config.Defaults(), login: "nobody@localhost"}
	if cfg, err := config.LoadOrDefault(c.Paths); err == nil {
		who.cfg = cfg
	} else if r == nil {
		fmt.Fprintln(c.Stderr, err)
	}
	if r != nil {
		who.accounts = r.status.Accounts
	}
	if u, err := user.Current(); err == nil {
		if host, err := os.Hostname(); err == nil {
			local := u.Username[strings.LastIndexByte(u.Username, '\\')+1:]
			who.login = strings.Trim((&mail.Address{Address: local + "@" + host}).String(), "<>") // a name with blanks is quoted
		}
	}
	return who
}

// mailbox is the address of the default account, or of the only one, or "".
func (w person) mailbox() string {
	all := w.accounts
	def := w.cfg.Default
	if len(w.cfg.Accounts) > 0 {
		all = nil
		for _, a := range w.cfg.Accounts {
			all = append(all, api.Account{Name: a.Name, Address: a.Address, Default: a.Name == def})
		}
	}
	for _, a := range all {
		if a.Default || len(all) == 1 {
			return a.Address
		}
	}
	return ""
}

// sender is the envelope sender.
func (w person) sender(o Options, header []headerField) (string, error) {
	mailbox := w.mailbox()
	if o.sender != nil {
		given, err := addressList(*o.sender)
		switch {
		case err != nil || len(given) > 1:
			return "", &Error{ExUsage, fmt.Errorf("sendmail: -f %q cannot be read as an address", clip(*o.sender))}
		case len(given) == 0:
			return "", nil
		case strings.Contains(given[0], "@"):
			return given[0], nil
		}
	} else {
		router := route.New(w.cfg)
		from := route.HeaderFrom(joinHeader(header))
		for _, f := range from {
			for _, a := range w.cfg.Accounts {
				if router.Owns(a.Name, f) {
					return f, nil
				}
			}
		}
		if mailbox == "" && len(from) > 0 {
			return from[0], nil
		}
	}
	if mailbox == "" {
		return w.login, nil
	}
	return mailbox, nil
}

// local gives a name without a domain a mailbox.
func (w person) local(to []string) ([]string, error) {
	var all []string
	for _, a := range to {
		if !strings.Contains(a, "@") {
			mailbox := w.mailbox()
			if mailbox == "" {
				return nil, &Error{ExNoUser, fmt.Errorf("%s has no domain, and there is no default account whose mailbox could take it", a)}
			}
			a = mailbox
		}
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}

// completeHeader takes Bcc out and adds what is missing.
func (w person) completeHeader(header []headerField, sender, name string, now time.Time) []headerField {
	out := slices.DeleteFunc(slices.Clone(header), func(f headerField) bool { return f.is("Bcc") || f.is("Resent-Bcc") })
	has := func(name string) bool {
		return slices.ContainsFunc(out, func(f headerField) bool { return f.is(name) })
	}
	add := func(name, value string) {
		out = append(out, headerField{name, []byte(name + ": " + value)})
	}
	visible := sender
	if visible == "" {
		visible = w.mailbox()
	}
	if visible == "" {
		visible = w.login
	}
	if !has("From") {
		// The address is one already; mail.Address would quote its quotes.
		phrase := strings.TrimSuffix((&mail.Address{Name: name, Address: "a@b"}).String(), "<a@b>")
		add("From", phrase+"<"+visible+">")
	}
	if !has("Date") {
		add("Date", now.Format(time.RFC1123Z))
	}
	if !has("Message-ID") {
		add("Message-ID", "<"+rand.Text()+visible[strings.LastIndexByte(visible, '@'):]+">")
	}
	return out
}
