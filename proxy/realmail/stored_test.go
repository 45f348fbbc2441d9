//go:build realmail

package realmail

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// mailbox is the Maildir into which a provider delivers everything. It is told
// of each message by inotify(7): Postfix's virtual(8) links a message into new/
// when it is complete.
type mailbox struct {
	mu     sync.Mutex
	stored []stored
	err    error
	more   chan struct{} // closed and replaced when stored or err changes
}

// stored is one message as the provider has it.
type stored struct {
	to       string // the recipient, from Delivered-To
	from     string // the envelope sender, from Return-Path
	postfix  string // Postfix's Received line, folded as it is
	received string // Melon's
	message  []byte // all that follows, with LF
}

// header matches one header field with its folded lines.
var header = regexp.MustCompile(`^([!-9;-~]+): ((?:[^\n]|\n[ \t])*)\n`)

// parseStored takes apart what is in the Maildir. The fields that the provider
// and Melon add must be there, in that order, each once.
func parseStored(data []byte) (s stored, err error) {
	fields := []struct {
		name string
		to   *string
	}{{"Return-Path", &s.from}, {"X-Original-To", new(string)}, {"Delivered-To", &s.to}, {"Received", &s.postfix}, {"Received", &s.received}}
	rest := data
	for _, f := range fields {
		m := header.FindSubmatch(rest)
		if m == nil || string(m[1]) != f.name {
			return s, fmt.Errorf("no field %s where it should be, in:\n%.2000s", f.name, data)
		}
		*f.to = string(m[2])
		rest = rest[len(m[0]):]
	}
	if !strings.Contains(s.postfix, "(Postfix)") {
		return s, fmt.Errorf("not Postfix's Received line: %s", s.postfix)
	}
	s.from = strings.Trim(s.from, "<>")
	s.message = rest
	return s, nil
}

// watchMailbox watches dir, a Maildir's new/, until the test ends.
func watchMailbox(t testing.TB, dir string) *mailbox {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(errors.Join(err, unix.Close(fd)))
	}
	b := &mailbox{more: make(chan struct{})}
	events := os.NewFile(uintptr(fd), "inotify")
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follow(events, dir)
	}()
	t.Cleanup(func() {
		events.Close()
		<-done
	})
	return b
}

// follow reads events until the file is closed.
func (b *mailbox) follow(events *os.File, dir string) {
	buf := make([]byte, 64<<10)
	for {
		n, err := events.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[12:]))
			name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:size], "\x00"))
			b.add(filepath.Join(dir, name))
			rest = rest[size:]
		}
	}
}

func (b *mailbox) add(path string) {
	var s stored
	data, err := os.ReadFile(path)
	if err == nil {
		s, err = parseStored(data)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = errors.Join(b.err, err)
	} else {
		b.stored = append(b.stored, s)
	}
	close(b.more)
	b.more = make(chan struct{})
}

// count returns how many messages for the recipient there are.
func (b *mailbox) count(to string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.forLocked(to))
}

func (b *mailbox) forLocked(to string) (found []stored) {
	for _, s := range b.stored {
		if s.to == to {
			found = append(found, s)
		}
	}
	return found
}

// wait returns the messages for the recipient when there are n.
func (b *mailbox) wait(ctx context.Context, to string, n int) ([]stored, error) {
	for {
		b.mu.Lock()
		found, err, more := b.forLocked(to), b.err, b.more
		b.mu.Unlock()
		if err != nil || len(found) >= n {
			return found, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d messages for %s: %w", len(found), n, to, ctx.Err())
		}
	}
}

// one waits for the only message for the recipient.
func (b *mailbox) one(t testing.TB, to string) stored {
	t.Helper()
	found, err := b.wait(within(t), to, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("%d messages for %s, want one", len(found), to)
	}
	return found[0]
}

// wantStored fails the test unless the message was stored as it was sent; sent
// is what went between DATA and the lone dot, without doubled dots, with CRLF.
func wantStored(t testing.TB, s stored, from string, sent []byte) {
	t.Helper()
	if s.from != from {
		t.Errorf("envelope sender %q, want %q", s.from, from)
	}
	if !strings.HasPrefix(s.received, "from localhost by localhost with ") {
		t.Errorf("the second Received line is not Melon's: %s", s.received)
	}
	want := bytes.ReplaceAll(sent, []byte("\r\n"), []byte("\n"))
	if bytes.Equal(s.message, want) {
		return
	}
	i := 0
	for i < min(len(s.message), len(want)) && s.message[i] == want[i] {
		i++
	}
	t.Errorf("stored %d octets, sent %d; they differ from octet %d on:\nstored %.200q\nsent   %.200q",
		len(s.message), len(want), i, s.message[max(0, i-40):], want[max(0, i-40):])
}
