package main

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/route"
	"melon/upstream"
)

// settings is the configuration in force, and what is wrong with the file.
type settings struct {
	config  *config.Holder
	router  atomic.Pointer[route.Router] // of config
	editing sync.Mutex                   // one change of the file at a time

	mu       sync.Mutex
	problems []string // guarded by mu
}

// Reload puts the configuration file in force again. It keeps the old one when
// the new one is bad.
func (d *daemon) Reload() error {
	old := d.config.Config()
	err := d.config.Reload(d.paths.Config)
	if errors.Is(err, fs.ErrNotExist) && !d.paths.ConfigGiven {
		err = nil // still no file: still an empty configuration
	}
	if err != nil {
		d.setProblems("the configuration was not taken, the old one is in force: " + err.Error())
		d.log.Error("the configuration was not taken; the old one is in force", "error", err)
		return err
	}
	d.setProblems()
	cfg := d.config.Config()
	d.router.Store(route.New(cfg))
	d.outbox.Configure(outboxSettings(cfg, d.lang))
	for _, a := range cfg.Accounts {
		if before, ok := old.Account(a.Name); !ok || !sameAccount(before, a) {
			d.clear(a.Name)
		}
	}
	d.clear("") // mail that no account carried
	if err := d.smtp.Reload(d.smtpOptions(cfg)); err != nil {
		d.setProblems("the listeners stay as they were: " + err.Error())
		d.log.Error("the listeners stay as they were", "error", err)
		return err
	}
	if old.Control != cfg.Control {
		d.setProblems("control.web takes effect at the next start")
	}
	d.log.Info("the configuration was read", "file", d.paths.Config, "accounts", len(cfg.Accounts))
	d.journal.Add(api.Event{Kind: "relay", Text: "configuration read"})
	return nil
}

// clear ends an account's attention everywhere.
func (d *daemon) clear(account string) {
	if account != "" {
		d.tokens.Forget(account)
		d.relay.Clear(account)
	}
	if err := d.outbox.AccountCleared(account); err != nil {
		d.log.Error("messages could not be made due", "account", account, "error", err)
	}
}

func (d *daemon) setProblems(p ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.problems = p
}

func sameAccount(a, b upstream.Account) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }
