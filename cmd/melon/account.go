package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
	"melon/proxy/setup"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/relay"
)

func (c *cli) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "set up, show, test and remove accounts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
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

// namedAccount returns the account of this name, or the one with this address.
func namedAccount(cfg *config.Config, name string) (upstream.Account, error) {
	if a, ok := findAccount(cfg, name); ok {
		return a, nil
	}
	if len(cfg.Accounts) == 0 {
		return upstream.Account{}, errors.New("there is no account yet; add one with: melon account add ADDRESS")
	}
	names := make([]string, len(cfg.Accounts))
	for i, a := range cfg.Accounts {
		names[i] = a.Name
	}
	return upstream.Account{}, fmt.Errorf("there is no account %q; there are: %s", name, strings.Join(names, ", "))
}

func (c *cli) accountListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "list the accounts, in the order of the configuration", Args: cobra.NoArgs}
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
			_, err := fmt.Fprintln(c.stdout, "no account yet; add one with: melon account add ADDRESS")
			return err
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tADDRESS\tSERVER\tLOGIN\tSECRET\tSTATE")
		for _, s := range list {
			state := "not running"
			if s.Live != nil {
				state = string(s.Live.State)
			}
			name := s.Name
			if s.Default {
				name += " (default)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, s.Address, s.SMTP.Host, s.Auth, s.where(), state)
		}
		return w.Flush()
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
	cmd := &cobra.Command{Use: "show NAME", Short: "show one account: settings, where its secret is kept, what the relay knows of it", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		a, err := namedAccount(cfg, args[0])
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
		_, err = fmt.Fprint(c.stdout, describeAccount(s, c.language(cfg.Language)))
		return err
	})
	return cmd
}

// describeAccount is an account as a person reads it.
func describeAccount(s shownAccount, lang string) string {
	var b strings.Builder
	line := func(key, format string, a ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", key, fmt.Sprintf(format, a...))
	}
	fmt.Fprintf(&b, "%s%s\n", s.Name, onlyIf(s.Default, " (default)"))
	line("address", "%s", strings.Join(append([]string{s.Address}, s.Senders...), ", "))
	line("sending", "%s", s.SMTP)
	if s.POP != nil {
		line("POP", "%s", *s.POP)
	}
	line("login", "%s, method %s", s.Username, s.Auth)
	switch {
	case s.OAuth == nil:
		line("secret", "kept in: %s", s.Secret)
	case s.OAuth.SignedIn != nil && !*s.OAuth.SignedIn:
		line("sign-in", "not signed in; run: melon login %s", s.Name)
	default:
		line("sign-in", "kept in: %s", s.OAuth.Store)
	}
	if len(s.Fallback) > 0 {
		line("fallback", "%s", strings.Join(s.Fallback, ", "))
	}
	for _, l := range s.Learned {
		line("learned", "%s", describeLearned(l))
	}
	if s.Live == nil {
		line("state", "unknown, as no relay is running")
		return b.String()
	}
	line("state", "%s", s.Live.State)
	if s.Live.Auth != "" {
		line("last", "logged in by %s", s.Live.Auth)
	}
	if s.Live.RelayOpenUntil != nil {
		line("relay", "open until %s", s.Live.RelayOpenUntil.Local().Format(time.TimeOnly))
	}
	if s.Live.LastError != nil {
		describeError(&b, "             ", s.Live.LastError, lang)
	}
	return b.String()
}

// describeLearned is what proved right on one network, on one line.
func describeLearned(l relay.Learned) string {
	var facts []string
	add := func(ok bool, format string, a ...any) {
		if ok {
			facts = append(facts, fmt.Sprintf(format, a...))
		}
	}
	add(l.NeedsPOP, "needs a POP login first")
	add(l.ConnectAfterPOP, "connects only after it")
	add(l.Settle > 0, "waits %s after it", l.Settle)
	add(l.Window > 0, "the login holds for %s", l.Window)
	add(l.Port != 0, "port %d", l.Port)
	add(l.Mechanism != "", "logs in by %s", l.Mechanism)
	add(l.Lockstep, "one command at a time")
	if facts == nil {
		facts = []string{"works as configured"}
	}
	return fmt.Sprintf("on %s (since %s): %s", l.Network, l.Since.Local().Format(time.DateOnly), strings.Join(facts, ", "))
}

// String is the server for people.
func (s shownServer) String() string {
	return setup.DescribeServer(upstream.Server{Host: s.Host, Port: s.Port, Security: upstream.Security(s.Security)})
}

func (c *cli) accountDefaultCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "default [NAME]",
		Short: "make an account the default, for senders that none claims; without NAME say which one is",
		Args:  cobra.MaximumNArgs(1),
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
			a, err := namedAccount(cfg, args[0])
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
		Use:   "remove NAME",
		Short: "take an account out of the configuration, and its stored secret away",
		Long: `Takes an account out of the configuration and deletes the password or sign-in
that Melon stored for it (a keyring item, or a file in the state directory; your
own files, commands and variables stay). Messages that wait for it stay too.
Asks first; --yes does not.`,
		Args: cobra.ExactArgs(1),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		a, err := namedAccount(cfg, args[0])
		if err != nil {
			return err
		}
		if !*yes {
			person, _ := c.person(false)
			ok, err := person.Confirm(cmd.Context(), fmt.Sprintf("Remove the account %s (%s) and its stored secret?", a.Name, a.Address), false)
			switch {
			case errors.Is(err, setup.ErrNobody):
				return &failure{exitUsage, errors.New("there is no terminal to ask on; add --yes")}
			case err != nil:
				return err
			case !ok:
				return errors.New("nothing was removed")
			}
		}
		if err := config.RemoveAccount(p.Config, a.Name); err != nil {
			return refused(err)
		}
		if err := c.setup(p, cfg).Forget(cmd.Context(), cfg, a); err != nil {
			fmt.Fprintf(c.stderr, "the account is removed, but its stored secret could not be: %s\n", setup.Sentence(err))
		}
		fmt.Fprintf(c.stderr, "removed %s\n", a.Name)
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
