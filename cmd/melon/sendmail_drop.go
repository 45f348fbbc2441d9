package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"melon/proxy/smtpin"
	"melon/upstream"
)

// The drop directory is where `melon sendmail` leaves a message when no relay
// is running, and where `melon run` collects it: a file a message, the envelope
// as JSON on the first line and the message below. A file is written and synced
// under another name first, so that one that ends in dropSuffix is whole.
const (
	dropDir     = "drop"
	dropSuffix  = ".msg"
	dropVersion = 1
	maxEnvelope = 1 << 20
)

// droppedMessage is the first line of a file in the drop directory.
type droppedMessage struct {
	Version  int               `json:"melon_drop"`
	From     string            `json:"from"`
	To       []droppedTo       `json:"to"`
	Body     upstream.BodyType `json:"body,omitempty"`
	UTF8     bool              `json:"utf8,omitempty"`
	Return   string            `json:"return,omitempty"`
	Envelope string            `json:"envelope_id,omitempty"`
	Size     int64             `json:"size"` // octets of the message
}

type droppedTo struct {
	Address string   `json:"address"`
	Notify  []string `json:"notify,omitempty"`
}

// drop leaves a message for the next `run` and returns when it is durable.
func drop(state string, env upstream.Envelope, m *draftMessage) (err error) {
	dir := filepath.Join(state, dropDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d := droppedMessage{Version: dropVersion, From: env.From, Body: env.Body, UTF8: env.SMTPUTF8,
		Return: env.Return, Envelope: env.EnvelopeID, Size: m.size}
	for _, r := range env.Recipients {
		d.To = append(d.To, droppedTo{r.Address, r.Notify})
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	// Names sort by time, so that messages go out in their order.
	name := filepath.Join(dir, fmt.Sprintf("%019d-%s", time.Now().UnixNano(), rand.Text()[:8]))
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(name + ".tmp")
		}
	}()
	body, err := m.open()
	if err == nil {
		_, err = io.Copy(f, io.MultiReader(bytes.NewReader(append(line, '\n')), body))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = cmp.Or(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name+dropSuffix); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable; Windows does it by itself.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return cmp.Or(d.Sync(), d.Close())
}

// dropped lists the messages that wait to be collected, oldest first.
func dropped(state string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(state, dropDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), dropSuffix) {
			all = append(all, filepath.Join(state, dropDir, e.Name()))
		}
	}
	slices.Sort(all)
	return all, err
}

// Collect takes what was left in the drop directory into the outbox. What
// cannot be taken stays there and is a problem that status shows. A process that
// ends between the outbox's sync and the removal sends a message twice: that is
// the better of the two mistakes.
func (d *daemon) Collect(ctx context.Context) error {
	d.drops.collecting.Lock()
	defer d.drops.collecting.Unlock()
	names, err := dropped(d.paths.State)
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range names {
		if err := d.collect(ctx, name); err != nil {
			problems = append(problems, fmt.Errorf("the message in %s was not collected: %w", name, err))
			d.log.Error("a message that sendmail left was not collected", "file", name, "error", err)
		}
	}
	err = errors.Join(problems...)
	d.drops.setProblem(err)
	return err
}

// collectAtStart is Collect for messages that were left before the start. What
// goes wrong is a problem that status shows.
func (d *daemon) collectAtStart() { _ = d.Collect(context.Background()) }

// dropBox is what a relay knows of its drop directory.
type dropBox struct {
	collecting sync.Mutex // held while messages are taken in

	mu   sync.Mutex
	last string // what went wrong the last time; guarded by mu
}

func (b *dropBox) setProblem(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last = ""; err != nil {
		b.last = err.Error()
	}
}

// problems is for the status: one sentence or none.
func (b *dropBox) problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == "" {
		return nil
	}
	return []string{b.last}
}

// collect takes one file into the outbox.
func (d *daemon) collect(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	env, body, err := readDropped(f)
	if err != nil {
		return err
	}
	if _, err := d.deliver.Queue(ctx, env, body); err != nil {
		return err
	}
	f.Close() // before it is removed (Windows)
	return os.Remove(name)
}

// readDropped reads the envelope; the message follows in body, which fails when
// the file is shorter than it should be.
func readDropped(r io.Reader) (env upstream.Envelope, body io.Reader, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		if line = append(line, piece...); len(line) > maxEnvelope {
			return env, nil, errors.New("its first line is too long")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return env, nil, fmt.Errorf("it has no message: %w", err)
		}
	}
	var d droppedMessage
	if err := json.Unmarshal(line, &d); err != nil {
		return env, nil, fmt.Errorf("its first line is not an envelope: %w", err)
	}
	switch {
	case d.Version > dropVersion:
		return env, nil, fmt.Errorf("it was left by a newer Melon (format %d, this one reads up to %d): run the newer one", d.Version, dropVersion)
	case d.Version < 1 || len(d.To) == 0 || d.Size < 0:
		return env, nil, errors.New("its first line is not an envelope")
	}
	env = upstream.Envelope{From: d.From, Body: d.Body, SMTPUTF8: d.UTF8, Return: d.Return, EnvelopeID: d.Envelope, Size: d.Size}
	for _, to := range d.To {
		env.Recipients = append(env.Recipients, upstream.Recipient{Address: to.Address, Notify: to.Notify})
	}
	return env, &exactReader{in, d.Size}, nil
}

// exactReader reads n octets and no less.
type exactReader struct {
	r io.Reader
	n int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	if errors.Is(err, io.EOF) && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// draftMessage holds a message while it is read: in memory, a long one in a
// file that has no name any more where that can be. Close frees it.
type draftMessage struct {
	memory bytes.Buffer
	file   *os.File
	size   int64
	eight  bool // it has octets beyond ASCII
}

// draftMemory is how much of a message stays in memory.
const draftMemory = 1 << 20

func (m *draftMessage) Write(p []byte) (int, error) {
	m.eight = m.eight || slices.ContainsFunc(p, func(b byte) bool { return b > 0x7f })
	m.size += int64(len(p))
	if m.file == nil && m.memory.Len()+len(p) > draftMemory {
		f, err := os.CreateTemp("", "melon-sendmail-")
		if err != nil {
			return 0, err
		}
		m.file = f
		if _, err := m.memory.WriteTo(f); err != nil {
			return 0, err
		}
	}
	if m.file != nil {
		return m.file.Write(p)
	}
	return m.memory.Write(p)
}

// open returns a reader from the start. Only one is used at a time.
func (m *draftMessage) open() (io.Reader, error) {
	if m.file == nil {
		return bytes.NewReader(m.memory.Bytes()), nil
	}
	_, err := m.file.Seek(0, io.SeekStart)
	return m.file, err
}

func (m *draftMessage) Close() error {
	if m.file == nil {
		return nil
	}
	return cmp.Or(m.file.Close(), os.Remove(m.file.Name()))
}

// dropHandler takes messages from a listener into the drop directory.
type dropHandler struct{ state string }

func (h dropHandler) Begin(_ context.Context, _ smtpin.Client, env upstream.Envelope) (smtpin.Transaction, error) {
	return &dropTransaction{state: h.state, env: env}, nil
}

type dropTransaction struct {
	state string
	env   upstream.Envelope
}

func (t *dropTransaction) Rcpt(_ context.Context, rc upstream.Recipient) error {
	t.env.Recipients = append(t.env.Recipients, rc)
	return nil
}

func (t *dropTransaction) Data(_ context.Context, body io.Reader) (upstream.Reply, error) {
	m := &draftMessage{}
	defer m.Close()
	if _, err := io.Copy(m, body); err != nil {
		return upstream.Reply{}, err
	}
	if err := drop(t.state, t.env, m); err != nil {
		return upstream.Reply{}, err
	}
	return upstream.Reply{Code: 250, Enhanced: upstream.EnhancedCode{2, 0, 0},
		Lines: []string{"kept; nothing is running, so it goes with the next melon run"}}, nil
}

func (t *dropTransaction) Reset() {}
