package sendmail

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
	"time"

	"melon/proxy/smtpin"
	"melon/upstream"
)

// DropDir is the directory, below the state directory, where a message is left
// when no relay is running and where a Collector finds it: a file a message, the
// envelope as JSON on the first line and the message below. A file is written and
// synced under another name first, so that one that ends in dropSuffix is whole.
const DropDir = "drop"

const (
	dropSuffix  = ".msg"
	dropVersion = 1
	maxEnvelope = 1 << 20
)

// envelopeLine is the first line of a file in the drop directory.
type envelopeLine struct {
	Version  int               `json:"melon_drop"`
	From     string            `json:"from"`
	To       []recipientLine   `json:"to"`
	Body     upstream.BodyType `json:"body,omitempty"`
	UTF8     bool              `json:"utf8,omitempty"`
	Return   string            `json:"return,omitempty"`
	Envelope string            `json:"envelope_id,omitempty"`
	Size     int64             `json:"size"` // octets of the message
}

type recipientLine struct {
	Address string   `json:"address"`
	Notify  []string `json:"notify,omitempty"`
}

// drop leaves a message for the next `run` and returns when it is durable.
func drop(state string, env upstream.Envelope, m *draft) (err error) {
	dir := filepath.Join(state, DropDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d := envelopeLine{Version: dropVersion, From: env.From, Body: env.Body, UTF8: env.SMTPUTF8,
		Return: env.Return, Envelope: env.EnvelopeID, Size: m.size}
	for _, r := range env.Recipients {
		d.To = append(d.To, recipientLine{r.Address, r.Notify})
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
	entries, err := os.ReadDir(filepath.Join(state, DropDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), dropSuffix) {
			all = append(all, filepath.Join(state, DropDir, e.Name()))
		}
	}
	slices.Sort(all)
	return all, err
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
	var d envelopeLine
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

// exactReader reads n octets, no less and no more.
type exactReader struct {
	r *bufio.Reader
	n int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.n == 0 {
		if _, err := e.r.Peek(1); err == nil {
			return 0, errors.New("it is longer than its first line says")
		}
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	if errors.Is(err, io.EOF) && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
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
	m := &draft{}
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
