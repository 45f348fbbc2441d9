package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/deliver"
	"melon/proxy/outbox"
	"melon/upstream"
)

// Status is the relay as the command line, the tray and the web page see it.
func (d *daemon) Status() api.Status {
	cfg, snap := d.config.Config(), d.outbox.Snapshot()
	s := api.Status{
		Version:  version(),
		Outbox:   api.Counts{Waiting: snap.Waiting + snap.Sending + snap.Unconfirmed, Attention: snap.Attention},
		Paused:   snap.Paused,
		SameUser: d.smtp.Enforced(),
		Config:   d.paths.Config,
		Event:    d.journal.Last(),
		Accounts: []api.Account{}, Listeners: []api.Listener{}, Problems: []string{},
	}
	for _, a := range d.smtp.Addresses() {
		s.Listeners = append(s.Listeners, api.Listener{Kind: a.Kind, Address: a.Addr})
	}
	if a := d.webAddr(); a != "" {
		s.Listeners = append(s.Listeners, api.Listener{Kind: "web", Address: a})
	}
	secrets := map[string]string{}
	for _, p := range cfg.SecretProblems() {
		secrets[p.Account] = p.Problem.Sentence
	}
	for _, a := range cfg.Accounts {
		s.Accounts = append(s.Accounts, d.account(a, cfg.Default, secrets[a.Name]))
	}
	d.mu.Lock()
	s.Problems = append(s.Problems, d.problems...)
	d.mu.Unlock()
	s.Problems = append(s.Problems, d.drops.Problems()...)
	for _, p := range d.outbox.Problems() {
		s.Problems = append(s.Problems, p.Sentence)
	}
	s.State = d.state(s, snap, cfg)
	if d.web.problem != "" { // mail goes without it
		s.Problems = append(s.Problems, d.web.problem)
	}
	return s
}

// account is one account's part of the status.
func (d *daemon) account(a upstream.Account, def, secretProblem string) api.Account {
	st := d.relay.Status(a.Name)
	out := api.Account{
		Name: a.Name, Address: a.Address, State: api.AccountState(st.State), Auth: st.Auth,
		RelayOpenUntil: st.RelayOpenUntil, LastError: apiError(st.LastError), Default: a.Name == def,
	}
	if secretProblem != "" {
		out.State = api.AccountAttention
		out.LastError = &api.Error{Class: string(upstream.ClassCredentialsRejected), Phase: string(upstream.PhaseAuth), Text: secretProblem}
	}
	return out
}

// state sums the status up; what asks most of the person wins.
func (d *daemon) state(s api.Status, snap outbox.Snapshot, cfg *config.Config) api.State {
	sending := snap.Sending > 0
	attention := snap.Attention > 0
	for _, a := range s.Accounts {
		sending = sending || a.State == api.AccountSending
		attention = attention || a.State == api.AccountAttention
	}
	switch {
	case s.Paused:
		return api.StatePaused
	case attention || len(s.Problems) > 0:
		return api.StateAttention
	case sending:
		return api.StateSending
	case !d.watcher.State().Online && needsNetwork(cfg):
		return api.StateOffline
	case s.Outbox.Waiting > 0:
		return api.StateWaiting
	}
	return api.StateIdle
}

// needsNetwork reports whether any account's server is beyond this machine.
func needsNetwork(cfg *config.Config) bool {
	for _, a := range cfg.Accounts {
		ip := net.ParseIP(a.SMTP.Host)
		if !(ip != nil && ip.IsLoopback() || strings.EqualFold(a.SMTP.Host, "localhost")) {
			return true
		}
	}
	return false
}

// ClearAccount ends an account's attention.
func (d *daemon) ClearAccount(name string) error {
	if _, ok := d.config.Config().Account(name); !ok {
		return fmt.Errorf("%w: there is no account %s", control.ErrNotFound, name)
	}
	d.clear(name)
	return nil
}

// SetPaused holds or releases all sending.
func (d *daemon) SetPaused(paused bool) error {
	if paused {
		return d.outbox.Pause()
	}
	return d.outbox.Resume()
}

// messageEvent notes what an app was told about its message.
func (d *daemon) messageEvent(e deliver.Event) {
	d.memory.touch()
	ev := api.Event{
		Kind: "message", Outcome: api.Outcome(e.Outcome), ID: e.ID, Account: e.Account,
		From: e.From, To: e.To, Size: e.Size, Text: e.Reply.String(), Error: apiError(e.Err),
	}
	d.journal.Add(ev)
	attrs := []any{"account", e.Account, "from", e.From, "to", strings.Join(e.To, ","), "size", e.Size}
	if e.ID != "" {
		attrs = append(attrs, "id", e.ID)
	}
	if !e.Reply.IsZero() {
		attrs = append(attrs, "reply", e.Reply.String())
	}
	if e.Err != nil {
		attrs = append(attrs, "class", e.Err.Class, "error", e.Err.Error())
	}
	d.log.Info("message "+e.Outcome, attrs...)
}

// outboxEvent notes what happened to a message that waits.
func (d *daemon) outboxEvent(e outbox.Event) {
	d.memory.touch()
	d.watchWhileWaiting()
	if e.Type == outbox.EventKept {
		return // messageEvent said it
	}
	ev := api.Event{Kind: "outbox", Outcome: outcomeOf(e.Type), ID: e.Entry.ID, Account: e.Entry.Account,
		From: e.Entry.Envelope.From, To: e.Entry.To(), Size: e.Entry.Size, Text: string(e.Type), Error: apiError(e.Entry.LastError)}
	if e.Type == outbox.EventDelivered {
		ev.Text, ev.Error, ev.To = e.Result.Reply.String(), nil, nil
		for _, rc := range e.Result.Recipients { // the entry has none any more
			ev.To = append(ev.To, rc.Recipient.Address)
		}
	}
	d.journal.Add(ev)
	if e.Entry.ID == "" {
		d.log.Info("outbox " + string(e.Type))
		return
	}
	attrs := []any{"id", e.Entry.ID, "account", e.Entry.Account, "from", e.Entry.Envelope.From,
		"to", strings.Join(ev.To, ","), "attempts", e.Entry.Attempts}
	if ev.Error != nil {
		attrs = append(attrs, "class", ev.Error.Class, "error", e.Entry.LastError.Error())
	}
	if !e.Entry.NextAttempt.IsZero() && e.Type != outbox.EventDelivered {
		attrs = append(attrs, "next", e.Entry.NextAttempt.Format(time.RFC3339))
	}
	d.log.Info("outbox "+string(e.Type), attrs...)
}

func outcomeOf(t outbox.EventType) api.Outcome {
	switch t {
	case outbox.EventDelivered:
		return api.OutcomeSent
	case outbox.EventRemoved:
		return api.OutcomeRemoved
	case outbox.EventExpired, outbox.EventDropped:
		return api.OutcomeBounced
	}
	return ""
}

// apiError is an error as the API shows it; nil for nil.
func apiError(e *upstream.Error) *api.Error {
	if e == nil {
		return nil
	}
	text := e.Reply.Text()
	if text == "" {
		text = e.Sentence
	}
	return &api.Error{Class: string(e.Class), Code: e.Reply.Code, Enhanced: e.Reply.Enhanced.String(), Text: text, Phase: string(e.Phase)}
}

// outboxAPI shows the outbox to the control API.
type outboxAPI struct {
	*outbox.Outbox
	clear    func(account string)          // ends an account's attention at the relay
	progress func(id string) *api.Progress // of what is being sent
}

func (d *daemon) outboxAPI() outboxAPI {
	return outboxAPI{d.outbox, d.relay.Clear, d.web.progress.of}
}

// Page returns a part of the outbox.
func (o outboxAPI) Page(state api.EntryState, offset, limit int) ([]api.Entry, int, error) {
	list, total, err := o.Outbox.Page(outbox.State(state), offset, limit)
	return o.entries(list), total, err
}

func (o outboxAPI) entries(list []outbox.Entry) []api.Entry {
	out := make([]api.Entry, 0, len(list))
	for _, e := range list {
		out = append(out, o.entry(e))
	}
	return out
}

func (o outboxAPI) entry(e outbox.Entry) api.Entry {
	a := apiEntry(e)
	if a.State == api.EntrySending {
		a.Progress = o.progress(e.ID)
	}
	return a
}

func (o outboxAPI) Entries() ([]api.Entry, error) {
	list, err := o.List()
	if err != nil {
		return nil, err
	}
	return o.entries(list), nil
}

func (o outboxAPI) Entry(id string) (api.Entry, error) {
	e, err := o.Show(id)
	return o.entry(e), apiErr(err)
}

func (o outboxAPI) Message(id string) (io.ReadCloser, error) {
	r, _, err := o.Export(id)
	return r, apiErr(err)
}

func (o outboxAPI) Do(verb string, ids []string) ([]string, error) {
	entries, err := o.named(verb, ids)
	if err != nil {
		return nil, apiErr(err)
	}
	whole := make([]string, 0, len(entries))
	for _, e := range entries {
		whole = append(whole, e.ID)
		if verb == "send" && e.Account != "" {
			o.clear(e.Account)
		}
	}
	do := map[string]func(...string) error{"send": o.SendNow, "hold": o.Hold, "release": o.Release, "remove": o.Remove}[verb]
	if len(ids) == 0 {
		return whole, apiErr(do())
	}
	return whole, apiErr(do(whole...))
}

// named returns the entries that a command is about: those with these IDs, or,
// for "send" without IDs, all but the held ones.
func (o outboxAPI) named(verb string, ids []string) (entries []outbox.Entry, err error) {
	if len(ids) == 0 {
		list, err := o.List()
		return slices.DeleteFunc(list, func(e outbox.Entry) bool { return e.State == outbox.Held }), err
	}
	for _, id := range ids {
		e, err := o.Show(id)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (o outboxAPI) History() ([]api.Event, error) {
	records, err := o.Outbox.History()
	if err != nil {
		return nil, err
	}
	out := make([]api.Event, 0, len(records))
	for i := len(records) - 1; i >= 0; i-- {
		out = append(out, apiRecord(records[i]))
	}
	return out, nil
}

func apiRecord(r outbox.Record) api.Event {
	e := api.Event{Kind: "message", Time: r.Time, ID: r.ID, Account: r.Account, From: r.From, To: r.To, Size: r.Size,
		Outcome: map[string]api.Outcome{"delivered": api.OutcomeSent, "refused": api.OutcomeRefused,
			"expired": api.OutcomeBounced, "removed": api.OutcomeRemoved, "dropped": api.OutcomeBounced}[r.Outcome]}
	e.Text = r.Text
	if r.Code != 0 {
		e.Text = fmt.Sprintf("%d %s", r.Code, r.Text)
	}
	return e
}

func apiEntry(e outbox.Entry) api.Entry {
	out := api.Entry{ID: e.ID, Account: e.Account, From: e.Envelope.From, To: e.To(), Size: e.Size, QueuedAt: e.QueuedAt,
		State: api.EntryState(e.State), Attempts: e.Attempts, LastError: apiError(e.LastError)}
	if !e.NextAttempt.IsZero() {
		out.NextAttempt = &e.NextAttempt
	}
	return out
}

// apiErr gives the outbox's errors the status that the API has for them.
func apiErr(err error) error {
	switch {
	case errors.Is(err, outbox.ErrUnknownID), errors.Is(err, outbox.ErrAmbiguousID):
		return fmt.Errorf("%w: %w", control.ErrNotFound, err)
	case errors.Is(err, outbox.ErrBusy), errors.Is(err, outbox.ErrPaused):
		return fmt.Errorf("%w: %w", control.ErrConflict, err)
	}
	return err
}
