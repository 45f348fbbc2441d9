package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"melon/proxy/control/api"
	"melon/upstream/lab"
)

// copyState copies a fixture of a state directory with the modes that Melon
// writes.
func copyState(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEachVersionsStateIsRead starts the relay on the state that each version of
// the formats has left: a message in the outbox, one that sendmail dropped, and
// what was learned. A change of a format adds a fixture, and takes none away.
func TestEachVersionsStateIsRead(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob(filepath.Join("testdata", "state-*"))
	if err != nil || len(fixtures) == 0 {
		t.Fatal(err, fixtures)
	}
	for _, fixture := range fixtures {
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			t.Parallel()
			provider := lab.Run(t, lab.Options{})
			h := newHome(t, "")
			h.write(accountYAML(h, provider, "default: home\noutbox: {expire: 1000000h}\n"))
			copyState(t, fixture, h.state)
			p := h.start()
			if _, errs, status := h.run("outbox", "send"); status != 0 {
				t.Fatal(errs)
			}
			got, err := provider.Wait(wait(t), 2)
			if err != nil {
				t.Fatalf("%v\n%s", err, p.output())
			}
			var subjects []string
			for _, m := range got {
				for _, s := range []string{"waits", "dropped"} {
					if bytes.Contains(m.Data, []byte("\r\nSubject: "+s+"\r\n")) {
						subjects = append(subjects, s)
					}
				}
			}
			slices.Sort(subjects)
			if !slices.Equal(subjects, []string{"dropped", "waits"}) {
				t.Errorf("arrived: %q", subjects)
			}
			if _, err := os.Stat(filepath.Join(h.state, "learned.json.bad")); err == nil {
				t.Error("what was learned was thrown away")
			}
		})
	}
}

// TestANewerStateIsRefused: going back to an older Melon loses nothing, and the
// sentence says what to do.
func TestANewerStateIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	copyState(t, filepath.Join("testdata", "state-1"), h.state)
	files, err := filepath.Glob(filepath.Join(h.state, "outbox", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(err, files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(data, []byte(`"version": 1`), []byte(`"version": 99`), 1)
	if err := os.WriteFile(files[0], newer, 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, status := h.run("run")
	if status != exitFailed || !strings.Contains(errs, "newer version of Melon") {
		t.Errorf("status %d: %s", status, errs)
	}
	after, err := os.ReadFile(files[0])
	if err != nil || !bytes.Equal(after, newer) {
		t.Errorf("the newer entry was touched: %v", err)
	}
	if _, err := os.Stat(strings.TrimSuffix(files[0], ".json") + ".eml"); err != nil {
		t.Errorf("its message is gone: %v", err)
	}
}

func TestStopCommand(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	p := h.start()
	if s := jsonOf[api.Status](h, "status"); s.State == "" {
		t.Error(s)
	}
	if _, errs, status := h.run("stop"); status != 0 {
		t.Fatal(errs)
	}
	<-p.done
	if status := p.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("the relay ended with %d", status)
	}
	if _, _, status := h.run("stop"); status != exitNotRunning {
		t.Errorf("stop of nothing: status %d", status)
	}
}
