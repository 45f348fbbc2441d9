package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
	"melon/proxy/setup"
	"melon/proxy/words"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/relay"
)

func (c *cli) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "account",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		c.accountAddCommand(), c.accountListCommand(), c.accountShowCommand(), c.accountEditCommand(),
		c.accountRemoveCommand(), c.accountTestCommand(), c.accountDefaultCommand(),
	)
	return cmd
}

// shownServer is a server in a report.
type shownServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port"` // 0: the usual ones are tried
	Security string `json:"security"`
}

// shownAccount is an account in `account list` and `account show`. It has where
// secrets are kept, never a secret.
type shownAccount struct {
	Name     string       `json:"name"`
	Address  string       `json:"address"`
	Default  bool         `json:"default"`
	Username string       `json:"username"`
	Auth     string       `json:"auth"`
	SMTP     shownServer  `json:"smtp"`
	POP      *shownServer `json:"pop"`
	Secret   string       `json:"secret"` // keyring, command, file, environment or none
	OAuth    *shownOAuth  `json:"oauth,omitempty"`
	Senders  []string     `json:"senders,omitempty"`
	Fallback []string     `json:"fallback,omitempty"`
	// Live is what the running relay knows; nil when none runs.
	Live *api.Account `json:"live,omitempty"`
	// Learned is what proved right on each network, the newest first; in
	// `account show` alone.
	Learned []relay.Learned `json:"learned,omitempty"`
}

type shownOAuth struct {
	Provider string `json:"provider,omitempty"`
	ClientID string `json:"client_id"`
	SignedIn *bool  `json:"signed_in,omitempty"` // in `account show` alone; absent when the store does not say
	Store    string `json:"store"`               // where the sign-in is kept: keyring or file
}

func showServer(s upstream.Server) shownServer {
	return shownServer{Host: s.Host, Port: s.Port, Security: string(s.Security)}
}

// showAccount describes an account; live may be nil.
func showAccount(cfg *config.Config, a upstream.Account, state string, live *api.Account) shownAccount {
	s := shownAccount{
		Name: a.Name, Address: a.Address, Default: cfg.Default == a.Name, Username: a.Username, Auth: string(a.Auth),
		SMTP: showServer(a.SMTP), Secret: a.Password.Source(), Senders: a.Senders, Fallback: a.Fallback, Live: live,
	}
	if a.POP.Host != "" {
		pop := showServer(a.POP.Server)
		s.POP = &pop
	}
	if !a.OAuth.IsZero() {
		s.OAuth = &shownOAuth{Provider: a.OAuth.Provider, ClientID: a.OAuth.ClientID, Store: auth.TokenRef(a, state).Source()}
	}
	return s
}

// liveAccounts asks the running relay, if there is one.
func (c *cli) liveAccounts(ctx context.Context) map[string]*api.Account {
	live := map[string]*api.Account{}
	_ = c.withClient(func(cl *client.Client) error { // no relay, no news
		s, err := cl.Status(ctx)
		for i := range s.Accounts {
			live[s.Accounts[i].Name] = &s.Accounts[i]
		}
		return err
	})
	return live
}

// configured returns paths and configuration.
func (c *cli) configured() (config.Paths, *config.Config, error) {
	p, err := c.paths()
	if err != nil {
		return p, nil, err
	}
	cfg, err := c.loadConfig(p)
	return p, cfg, err
}

// findAccount finds an account by its name or its address.
func findAccount(cfg *config.Config, name string) (upstream.Account, bool) {
	if a, ok := cfg.Account(name); ok {
		return a, true
	}
	for _, a := range cfg.Accounts {
		if strings.EqualFold(a.Address, name) {
			return a, true
		}
	}
	return upstream.Account{}, false
}

// account returns what `configured` does and the account that is meant.
func (c *cli) account(name string) (p config.Paths, cfg *config.Config, a upstream.Account, err error) {
	if p, cfg, err = c.configured(); err == nil {
		a, err = c.namedAccount(cfg, name)
	}
	return p, cfg, a, err
}

// namedAccount returns the account of this name, or the one with this address.
func (c *cli) namedAccount(cfg *config.Config, name string) (upstream.Account, error) {
	if a, ok := findAccount(cfg, name); ok {
		return a, nil
	}
	if len(cfg.Accounts) == 0 {
		return upstream.Account{}, c.fail(nil, "account.first")
	}
	names := make([]string, len(cfg.Accounts))
	for i, a := range cfg.Accounts {
		names[i] = a.Name
	}
	return upstream.Account{}, c.fail(nil, "account.unknown", name, strings.Join(names, ", "))
}

func (c *cli) accountListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		live := c.liveAccounts(cmd.Context())
		list := make([]shownAccount, 0, len(cfg.Accounts))
		for _, a := range cfg.Accounts {
			list = append(list, showAccount(cfg, a, p.State, live[a.Name]))
		}
		if *asJSON {
			return c.printJSON(list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(c.stdout, c.say("account.none"))
			return err
		}
		rows := [][]string{{"NAME", "ADDRESS", "SERVER", "LOGIN", "SECRET", "STATE"}}
		for _, s := range list {
			name, state := s.Name, c.say("account.stopped")
			if s.Default {
				name = c.say("account.default", name)
			}
			if s.Live != nil {
				state = string(s.Live.State)
			}
			rows = append(rows, []string{name, s.Address, s.SMTP.Host, s.Auth, s.where(), state})
		}
		_, err = fmt.Fprint(c.stdout, words.Columns(rows))
		return err
	})
	return cmd
}

// where says where the account's secret is kept.
func (s shownAccount) where() string {
	if s.OAuth != nil {
		return s.OAuth.Store
	}
	return s.Secret
}

func (c *cli) accountShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		p, cfg, a, err := c.account(args[0])
		if err != nil {
			return err
		}
		s := showAccount(cfg, a, p.State, c.liveAccounts(cmd.Context())[a.Name])
		if m, err := relay.Remembered(p.State, a); err == nil {
			s.Learned = m.Networks
		}
		if s.OAuth != nil {
			tokens := setup.NewOAuth(&auth.Secrets{}, p.State, cfg.Account)
			defer tokens.Close()
			if in, err := tokens.SignedIn(cmd.Context(), a.Name); err == nil {
				s.OAuth.SignedIn = &in
			}
		}
		if *asJSON {
			return c.printJSON(s)
		}
		_, err = fmt.Fprint(c.stdout, c.describeAccount(s))
		return err
	})
	return cmd
}

// describeAccount is an account as a person reads it.
func (c *cli) describeAccount(s shownAccount) string {
	w, means := c.inLanguage(), setup.New(setup.Parts{Lang: c.explainLanguage()})
	var b strings.Builder
	row := func(key, value string) { b.WriteString(w.Row(key, value)) }
	name := s.Name
	if s.Default {
		name = c.say("account.default", name)
	}
	b.WriteString(name + "\n")
	row("row.address", strings.Join(append([]string{s.Address}, s.Senders...), ", "))
	row("row.sending", means.DescribeServer(s.SMTP.server()))
	if s.POP != nil {
		row("row.pop", means.DescribeServer(s.POP.server()))
	}
	row("row.login", c.say("shown.login", s.Username, s.Auth))
	switch {
	case s.OAuth == nil:
		row("row.secret", c.say("shown.kept", s.Secret))
	case s.OAuth.SignedIn != nil && !*s.OAuth.SignedIn:
		row("row.signin", c.say("shown.signedout", s.Name))
	default:
		row("row.signin", c.say("shown.kept", s.OAuth.Store))
	}
	if len(s.Fallback) > 0 {
		row("row.fallback", strings.Join(s.Fallback, ", "))
	}
	for _, l := range s.Learned {
		row("row.learned", c.describeLearned(l))
	}
	if s.Live == nil {
		row("row.state", c.say("shown.norelay"))
		return b.String()
	}
	row("row.state", c.say("state."+string(s.Live.State)))
	if s.Live.Auth != "" {
		row("row.last", c.say("shown.by", s.Live.Auth))
	}
	if s.Live.RelayOpenUntil != nil {
		row("row.relay", c.say("shown.open", s.Live.RelayOpenUntil.Local().Format(time.TimeOnly)))
	}
	if s.Live.LastError != nil {
		describeError(&b, "             ", s.Live.LastError, c.explainLanguage())
	}
	return b.String()
}

// describeLearned is what proved right on one network, on one line.
func (c *cli) describeLearned(l relay.Learned) string {
	var facts []string
	add := func(ok bool, fact string) {
		if ok {
			facts = append(facts, fact)
		}
	}
	add(l.NeedsPOP, c.say("learned.pop"))
	add(l.ConnectAfterPOP, c.say("learned.after"))
	add(l.Settle > 0, c.say("learned.settle", l.Settle))
	add(l.Window > 0, c.say("learned.window", l.Window))
	add(l.Port != 0, c.say("learned.port", l.Port))
	add(l.Mechanism != "", c.say("learned.mechanism", l.Mechanism))
	add(l.Lockstep, c.say("learned.lockstep"))
	if facts == nil {
		facts = []string{c.say("learned.nothing")}
	}
	return c.say("learned.line", l.Network, l.Since.Local().Format(time.DateOnly), strings.Join(facts, c.say("learned.comma")))
}

// server is what was shown.
func (s shownServer) server() upstream.Server {
	return upstream.Server{Host: s.Host, Port: s.Port, Security: upstream.Security(s.Security)}
}

func (c *cli) accountDefaultCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "default [NAME]",
		Args: cobra.MaximumNArgs(1),
	}
	none := cmd.Flags().Bool("none", false, "have no default: mail from a sender that none claims is refused")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		if len(args) == 0 && !*none {
			_, err := fmt.Fprintln(c.stdout, cfg.Default)
			return err
		}
		name := ""
		if !*none {
			a, err := c.namedAccount(cfg, args[0])
			if err != nil {
				return err
			}
			name = a.Name
		}
		if err := config.SetDefault(p.Config, name); err != nil {
			return refused(err)
		}
		return c.reload(cmd.Context())
	})
	return cmd
}

func (c *cli) accountRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME",
		Long: `Takes an account out of the configuration and deletes the password or sign-in
that Melon stored for it (a keyring item, or a file in the state directory; your
own files, commands and variables stay). Messages that wait for it stay too.
Asks first; --yes does not.`,
		Args: cobra.ExactArgs(1),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		p, cfg, a, err := c.account(args[0])
		if err != nil {
			return err
		}
		if !*yes {
			person, _ := c.person(false)
			ok, err := person.Confirm(cmd.Context(), c.say("account.remove", a.Name, a.Address), false)
			switch {
			case errors.Is(err, setup.ErrNobody):
				return &failure{exitUsage, c.fail(nil, "account.terminal")}
			case err != nil:
				return err
			case !ok:
				return c.fail(nil, "account.kept")
			}
		}
		if err := config.RemoveAccount(p.Config, a.Name); err != nil {
			return refused(err)
		}
		if err := c.setup(p, cfg).Forget(cmd.Context(), cfg, a); err != nil {
			fmt.Fprint(c.stderr, c.say("account.leftover", setup.Sentence(err)))
		}
		fmt.Fprint(c.stderr, c.say("account.removed", a.Name))
		return c.reload(cmd.Context())
	})
	return cmd
}

// reload tells a running relay to read its configuration again.
func (c *cli) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := c.withClient(func(cl *client.Client) error { return cl.Reload(ctx) })
	if errors.Is(err, client.ErrNotRunning) {
		return nil
	}
	return err
}

// refused gives an edit that would make the configuration wrong its exit status.
func refused(err error) error {
	if _, ok := errors.AsType[config.Problems](err); ok {
		return &failure{exitUsage, err}
	}
	return err
}
