package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// file reads the whole document into c.
func (d *decoder) file(root *yaml.Node, c *Config) {
	var (
		drafts   []draft
		networks section
		listen   section
	)
	top := d.section(root, "", []field{
		{"accounts", func(n *yaml.Node) { drafts = d.accounts(n) }},
		{"listen", func(n *yaml.Node) { listen = d.listen(n, &c.Listen) }},
		{"control", func(n *yaml.Node) { d.control(n, &c.Control) }},
		{"default", value(d, &c.Default, "default", asIs)},
		{"networks", func(n *yaml.Node) { networks = d.networks(n, &c.Networks) }},
		{"routes", func(*yaml.Node) {}}, // below, once accounts and networks are known
		{"delivery", oneOf(d, &c.Delivery, "delivery", DeliveryLive, DeliveryQueue, DeliveryPass)},
		{"outbox", func(n *yaml.Node) { d.outbox(n, &c.Outbox) }},
		{"log", func(n *yaml.Node) { d.log(n, &c.Log) }},
		{"language", oneOf(d, &c.Language, "language", "auto", "en", "ja")},
	})
	names := namesOf(drafts)
	for i := range drafts {
		c.Accounts = append(c.Accounts, d.finish(&drafts[i], names))
	}
	if e, ok := top["routes"]; ok {
		c.Routes = d.routes(e.val, names, networks)
	}
	if e, ok := top["default"]; ok && c.Default != "" {
		c.Default = d.known(e.val, "default", c.Default, "account", names)
	}
	d.checkListen(listen, root, &c.Listen)
	d.checkAddresses(listen, top, c)
}

// known checks that name is among names and returns it as it is spelled there.
func (d *decoder) known(n *yaml.Node, what, name, kind string, names []string) string {
	if slices.Contains(names, name) {
		return name
	}
	if i := slices.IndexFunc(names, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		return names[i]
	}
	hint := "add it under " + kind + "s:"
	if len(names) > 0 {
		hint = "there are " + enumerate(names)
	}
	if len(d.problems) < 10*maxProblems { // so many are not shown anyway
		if near := nearest(name, names); near != "" {
			hint = "did you mean " + near + "?"
		}
	}
	d.fail(n, "%s names the %s %s, which is not in this file: %s", what, kind, show(name), hint)
	return ""
}

// enumerate lists names for a sentence, not more than a person reads.
func enumerate(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (d *decoder) listen(n *yaml.Node, l *Listen) section {
	addresses := `["127.0.0.1:2525"]`
	return d.section(n, "listen", []field{
		{"smtp", func(n *yaml.Node) {
			if isNull(n) {
				return
			}
			l.SMTPDefault = false
			values(d, &l.SMTP, "listen.smtp", addresses, parseListen)(n)
		}},
		{"smtps", values(d, &l.SMTPS, "listen.smtps", `["127.0.0.1:2465"]`, parseListen)},
		{"starttls", d.boolean(&l.StartTLS, "listen.starttls")},
		{"tls", func(n *yaml.Node) {
			before := len(d.problems)
			s := d.section(n, "listen.tls", []field{
				{"cert", d.path(&l.TLS.Cert, "listen.tls.cert")},
				{"key", d.path(&l.TLS.Key, "listen.tls.key")},
			})
			switch {
			case len(d.problems) > before:
			case len(s) == 1:
				d.fail(n, "listen.tls needs cert and key both: write {cert: FILE, key: FILE}")
			case len(s) == 2:
				d.uses = append(d.uses, use{what: "listen.tls", pair: l.TLS, at: d.problemAt(n, "")})
			}
		}},
		{"login", oneOf(d, &l.Login, "listen.login", LoginOff, LoginOptional, LoginRequired)},
		{"password", d.secret(&l.Password, "", "listen.password")},
		{"allow", oneOf(d, &l.Allow, "listen.allow", AllowSameUser, AllowAnyLocal)},
		{"max_message", value(d, &l.MaxMessage, "listen.max_message", parseSize)},
	})
}

func (d *decoder) control(n *yaml.Node, c *Control) {
	d.section(n, "control", []field{{"web", func(n *yaml.Node) {
		if n.Value == "off" {
			c.Web = ""
			return
		}
		before := len(d.problems)
		value(d, &c.Web, "control.web", parseListen)(n)
		if len(d.problems) == before && n.Kind == yaml.ScalarNode && !Loopback(c.Web) {
			d.fail(n, "control.web is for this machine alone: write 127.0.0.1:2580 or off")
		}
	}}})
}

func (d *decoder) outbox(n *yaml.Node, o *Outbox) {
	d.section(n, "outbox", []field{
		{"retry", func(n *yaml.Node) {
			before := len(d.problems)
			var all []time.Duration
			values(d, &all, "outbox.retry", "[1m, 5m, 1h]", parsePositive)(n)
			switch {
			case len(d.problems) > before || n.Kind == yaml.AliasNode:
			case len(all) == 0:
				d.fail(n, "outbox.retry is empty: write at least one pause, such as [1m, 5m, 1h]")
			default:
				o.Retry = all
			}
		}},
		{"expire", value(d, &o.Expire, "outbox.expire", parsePositive)},
		{"history", d.number(&o.History, "outbox.history", 0, 1_000_000)},
	})
}

func (d *decoder) log(n *yaml.Node, l *Log) {
	d.section(n, "log", []field{
		{"level", oneOf(d, &l.Level, "log.level", "trace", "debug", "info", "warn", "error")},
		{"file", d.path(&l.File, "log.file")},
	})
}

// checkListen refuses listeners that contradict themselves.
func (d *decoder) checkListen(s section, root *yaml.Node, l *Listen) {
	beyond := slices.ContainsFunc(slices.Concat(l.SMTP, l.SMTPS), func(a string) bool { return !Loopback(a) })
	if l.Login != LoginRequired && beyond {
		for _, n := range addressNodes(s) {
			if !Loopback(n.Value) {
				d.fail(n, "%s can be reached from other machines: set listen.login: required and a listen.password, or listen on 127.0.0.1", show(n.Value))
			}
		}
	}
	if e, ok := s["starttls"]; ok && !l.StartTLS && isFalse(e.val) &&
		slices.ContainsFunc(l.SMTP, func(a string) bool { return !Loopback(a) }) {
		d.fail(e.val, "listen.starttls cannot be false while listen.smtp is open to other machines: take the line out, or list the address under smtps")
	}
	if l.Login == LoginRequired && !s.has("password") {
		d.fail(s.at("login", root), "listen.login is required, but there is no listen.password: say where it is kept, such as {keyring: melon-local}")
	}
	if e, ok := s["password"]; ok && l.Login == LoginOff {
		d.fail(e.val, "listen.login is off, so that this password is never asked for: set listen.login: required, or take the password out")
	}
}

// checkAddresses refuses an address that is listed twice.
func (d *decoder) checkAddresses(listen, top section, c *Config) {
	taken := map[string]bool{}
	nodes := addressNodes(listen)
	if e, ok := top["control"]; ok && e.val.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(e.val.Content); i += 2 {
			if e.val.Content[i].Value == "web" {
				nodes = append(nodes, e.val.Content[i+1])
			}
		}
	}
	if c.Listen.SMTPDefault {
		for _, a := range c.Listen.SMTP {
			taken[a] = true
		}
	}
	for _, n := range nodes {
		if strings.HasSuffix(n.Value, ":0") {
			continue
		}
		if taken[n.Value] {
			d.fail(n, "%s is already listened on: write another port", show(n.Value))
		}
		taken[n.Value] = true
	}
}

// addressNodes returns the nodes of all addresses under listen.
func addressNodes(listen section) []*yaml.Node {
	var all []*yaml.Node
	for _, key := range []string{"smtp", "smtps"} {
		if e, ok := listen[key]; ok && e.val.Kind == yaml.SequenceNode {
			for _, item := range e.val.Content {
				if item.Kind == yaml.ScalarNode {
					all = append(all, item)
				}
			}
		}
	}
	return all
}

func isFalse(n *yaml.Node) bool { return n.Tag == "!!bool" && strings.EqualFold(n.Value, "false") }

// namesOf returns the accounts' names in the order of the file.
func namesOf(drafts []draft) []string {
	names := make([]string, len(drafts))
	for i, a := range drafts {
		names[i] = a.Name
	}
	return names
}
