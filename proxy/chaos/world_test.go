//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"melon/proxy/outbox"
	"melon/upstream"
	"melon/upstream/lab"
)

// world is everything in a run: two providers behind wires, one Melon, the apps'
// ledger and what the weather does.
type world struct {
	t         testing.TB
	seed      uint64
	site      *site
	providers []*provider
	ledger    *ledger
	rng       *rand.Rand // the weather's own
	count     map[string]int
	tokens    map[string]string // of entries that were read, by ID
	delivery  string            // as the configuration has it
	addr      atomic.Pointer[string]
	rounds    int // of apps

	mu    sync.Mutex
	relay *relayd
	logs  []string // of processes that ended, the last ones
}

// provider is one lab with its account.
type provider struct {
	*lab.Provider
	name, sender string
	account      string // YAML
	wires        []*wire
	smtp         *wire
}

func seedOf(t testing.TB) uint64 {
	seed := rand.Uint64() >> 32
	if s := os.Getenv("MELON_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal("MELON_SEED: ", err)
		}
		seed = n
	}
	t.Logf("seed %d (set MELON_SEED to choose it)", seed)
	return seed
}

// newWorld builds it and starts Melon, with a state directory that can be filled
// when smallDisk is true.
func newWorld(t testing.TB, seed uint64, smallDisk bool) *world {
	t.Helper()
	w := &world{
		t: t, seed: seed, site: newSite(t), ledger: newLedger(), count: map[string]int{}, tokens: map[string]string{},
		rng: rand.New(rand.NewPCG(seed, 0)), delivery: "live",
	}
	office := lab.User{Name: "taro", Password: "office-2099", Address: "taro@provider-a.example"}
	inn := lab.User{Name: "hanako", Password: "inn-2099", Address: "hanako@inn.example"}
	w.addProvider("office", office, lab.Options{Rules: lab.Rules{Auth: true}}, "starttls", "")
	w.addProvider("inn", inn, lab.Options{
		Rules: lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}},
		SMTP:  lab.SMTP{Hostname: "mail.inn.example", Without: []string{"AUTH", "STARTTLS", "CHUNKING"}},
	}, "none", "    auth: pop-before-smtp\n    allow_plaintext: true\n")
	w.configure()
	if smallDisk {
		mountSmallDisk(t, w.site)
	}
	w.start()
	t.Cleanup(func() { w.mu.Lock(); defer w.mu.Unlock(); w.relay.kill() })
	return w
}

// addProvider starts a provider with one user, behind wires.
func (w *world) addProvider(name string, u lab.User, o lab.Options, security, more string) {
	w.t.Helper()
	o.Users, o.Hosts = []lab.User{u}, []string{"127.0.0.1"}
	p := &provider{Provider: lab.Run(w.t, o), name: name, sender: u.Address}
	secret := w.site.write(w.t, name+".secret", u.Password+"\n")
	ca := w.site.write(w.t, name+".pem", string(p.CAPEM()))
	port := func(target string) string {
		x, err := newWire(target, w.seed+uint64(len(p.wires)))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(x.close)
		p.wires = append(p.wires, x)
		_, port, _ := net.SplitHostPort(x.addr)
		return port
	}
	p.account = fmt.Sprintf(`  %s:
    address: %s
    username: %s
    password: {file: %s}
    smtp: {host: 127.0.0.1, port: %s, security: %s}
    pop: {host: 127.0.0.1, port: %s, security: %s}
    trust: {ca: %s}
%s`, name, u.Address, u.Name, secret, port(p.SMTPAddr()), security, port(p.POPAddr()), security, ca, more)
	p.smtp = p.wires[0]
	w.providers = append(w.providers, p)
}

// configure writes the configuration.
func (w *world) configure() {
	var b strings.Builder
	b.WriteString("listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"off\"}\naccounts:\n")
	for _, p := range w.providers {
		b.WriteString(p.account)
	}
	fmt.Fprintf(&b, "default: office\ndelivery: %s\noutbox: {retry: [1s, 2s, 3s]}\n", w.delivery)
	w.site.write(w.t, "config.yaml", b.String())
}

// start starts Melon on the same state directory.
func (w *world) start() {
	w.t.Helper()
	r, err := w.site.start(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.relay = r
	w.mu.Unlock()
	w.addr.Store(&r.addr)
}

// end ends the process by kill or stop, and notes what the outbox then holds.
func (w *world) end(how func(*relayd)) {
	w.t.Helper()
	w.addr.Store(nil)
	w.mu.Lock()
	r := w.relay
	w.mu.Unlock()
	how(r)
	for _, line := range r.bad {
		w.t.Errorf("the program says: %s\n%s", line, r.log())
	}
	w.logs = append(w.logs[max(0, len(w.logs)-20):], r.log())
	w.ledger.ended(end{at: time.Now(), left: w.outbox()})
}

// killed is one SIGKILL and the restart.
func (w *world) killed() {
	w.t.Helper()
	w.end((*relayd).kill)
	w.count["kills"]++
	w.start()
}

// outbox reads what the directory holds: token and recipient, whether it waits
// or was refused. Melon must not be running, or be idle.
func (w *world) outbox() map[string]bool {
	w.t.Helper()
	dir := filepath.Join(w.site.state, "outbox")
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	held := map[string]bool{}
	for _, name := range append(names, w.journaled(dir)...) {
		var e struct {
			To      []struct{ Address string }
			Refused []struct{ Recipient struct{ Address string } }
			Bounce  bool
		}
		data, err := os.ReadFile(name)
		if err == nil {
			// The state is the first value; lines about attempts follow.
			err = json.NewDecoder(bytes.NewReader(data)).Decode(&e)
		}
		if err != nil {
			w.t.Errorf("an entry cannot be read: %v", err)
			continue
		}
		if e.Bounce {
			continue
		}
		token := w.token(strings.TrimSuffix(name, ".json"))
		for _, to := range e.To {
			held[place(token, to.Address)] = true
		}
		for _, r := range e.Refused {
			held[place(token, r.Recipient.Address)] = true
		}
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "unreadable", "*")); len(aside) > 0 {
		w.t.Errorf("entries were set aside as unreadable: %v", aside)
	}
	return held
}

// journaled unpacks the journal that a killed process left, elsewhere, and lists
// the states of entries that have no files beside it: where they have, these rule.
func (w *world) journaled(dir string) (names []string) {
	data, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		return nil // there was nothing to send yet
	}
	there := w.t.TempDir()
	for name, content := range map[string][]byte{"journal": data, "paused": nil} {
		if err := os.WriteFile(filepath.Join(there, name), content, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	o, err := outbox.Open(there, outbox.Options{Sender: noSender{}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range o.Problems() {
		w.t.Errorf("the journal: %s (%v)", p.Sentence, p.Err)
	}
	if err := o.Close(); err != nil {
		w.t.Error(err)
	}
	all, err := filepath.Glob(filepath.Join(there, "*.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range all {
		if _, err := os.Stat(filepath.Join(dir, filepath.Base(name))); err != nil {
			names = append(names, name)
		}
	}
	return names
}

// noSender is for an outbox that is only looked at.
type noSender struct{}

// Send implements outbox.Sender.
func (noSender) Send(context.Context, outbox.Entry, upstream.Body) upstream.Result {
	return upstream.Result{Err: &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassServerUnreachable}}
}

// token returns the token of an entry, whose message never changes. It is named
// by its path without an extension.
func (w *world) token(path string) string {
	id := filepath.Base(path)
	if t, ok := w.tokens[id]; ok {
		return t
	}
	f, err := os.Open(path + ".eml")
	if err != nil {
		w.t.Errorf("an entry has no message: %v", err)
		return ""
	}
	defer f.Close()
	head := make([]byte, 2048)
	n, _ := f.Read(head)
	w.tokens[id] = tokenOf(head[:n])
	return w.tokens[id]
}

// apps runs n apps until ctx ends, and waits for them. Between two messages
// each rests for up to rest.
func (w *world) apps(ctx context.Context, n int, rest time.Duration) {
	w.rounds++
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { w.app(ctx, 100*w.rounds+i, rest) })
	}
	wg.Wait()
}

// app hands in one message after the other, some on one connection.
func (w *world) app(ctx context.Context, id int, rest time.Duration) {
	rng := rand.New(rand.NewPCG(w.seed, uint64(id)))
	senders := []string{w.providers[0].sender, w.providers[1].sender}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	var s *session
	defer func() {
		if s != nil {
			s.c.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		if s == nil {
			if s = w.connect(ctx, rng); s == nil {
				continue
			}
		}
		pick, k := rng.IntN(total), 0
		for pick -= kinds[0].weight; pick >= 0; pick -= kinds[k].weight {
			k++
		}
		m := newMessage(rng, fmt.Sprintf("%d.%d.%d", w.seed, id, n), kinds[k].name, senders)
		err := kinds[k].send(s, m)
		m.all(refused4) // nothing is left without an outcome
		m.over = time.Now()
		w.ledger.add(m.handed)
		if err != nil || rng.IntN(5) == 0 {
			s.c.Close()
			s = nil
		}
		if rest > 0 {
			pause(ctx, time.Duration(rng.Int64N(int64(rest))))
		}
	}
}

// connect opens a connection; nil when Melon is not there, after a moment.
func (w *world) connect(ctx context.Context, rng *rand.Rand) *session {
	if addr := w.addr.Load(); addr != nil {
		// The app outlives ctx: what it has begun it ends.
		if s, err := openSession(context.WithoutCancel(ctx), *addr, rng); err == nil {
			return s
		}
	}
	pause(ctx, 20*time.Millisecond)
	return nil
}

// arrivals lists what the providers accepted, bounces aside.
func (w *world) arrivals() (as []arrival) {
	for _, p := range w.providers {
		for _, m := range p.Messages() {
			if m.Envelope.From == "" {
				w.count["bounces"]++
				continue
			}
			if m.Data == nil && m.Size > 0 {
				w.t.Fatal("the lab keeps no more messages")
			}
			first, rest, _ := bytes.Cut(m.Data, []byte("\r\n"))
			if !bytes.HasPrefix(first, []byte("Received: ")) {
				rest = m.Data
			}
			a := arrival{opened: p.smtp.opened(m.Peer, m.At), token: tokenOf(m.Data[:min(len(m.Data), 2048)]), at: m.At, from: m.Envelope.From, sum: sha256.Sum256(rest)}
			a.where = fmt.Sprintf("%s message %d, answer %v", p.name, m.ID, p.Answer(m.ID))
			if p.Answer(m.ID) == lab.AnswerNone {
				a.unread = "the provider's reply never left"
			}
			if p.Answer(m.ID) != lab.AnswerRead {
				a.cut = func(until time.Time) bool { return p.smtp.wasCut(m.Peer, a.opened, until) }
			}
			for _, rc := range m.Envelope.Recipients {
				a.to = rc.Address
				as = append(as, a)
			}
		}
	}
	// Acceptance times are one clock's, so they order the two providers.
	for i := range as {
		as[i].order = int(as[i].at.Sub(w.begun()))
	}
	return as
}

// begun is a time before the first arrival.
func (w *world) begun() time.Time { return time.Now().Add(-24 * time.Hour).Truncate(24 * time.Hour) }
