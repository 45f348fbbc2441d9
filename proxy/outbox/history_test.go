package outbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), historyName)
	h := newHistory(OS{}, name, 10)
	for i := range 55 {
		if err := h.add(Record{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(name); strings.Count(string(data), "{") > 20 {
			t.Fatalf("%d lines", strings.Count(string(data), "{"))
		}
	}
	check := func(newest string, n int) {
		t.Helper()
		r, err := h.read()
		if err != nil || len(r) != n || r[0].ID != newest {
			t.Errorf("%d records, the newest %+v, %v", len(r), r[:min(1, len(r))], err)
		}
	}
	check("54", 10)
	h.close()
	// A crash in the middle of a line costs that line alone.
	data, _ := os.ReadFile(name)
	os.WriteFile(name, data[:len(data)-10], 0o600)
	h = newHistory(OS{}, name, 10)
	h.load(func(string) {})
	check("53", 10)
	h.add(Record{ID: "55"})
	check("55", 10)
	h.resize(3)
	check("55", 3)
	h.resize(-1)
	h.add(Record{ID: "56"})
	check2, _ := h.read()
	if len(check2) != 0 {
		t.Errorf("%d records when none are wanted", len(check2))
	}
	h.close()
	if fi, err := os.Stat(name); err != nil || !private(fi, 0o600) {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestHistoryRemembersIDs(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), historyName)
	h := newHistory(OS{}, name, 10)
	h.add(Record{ID: encodeID(idNumber(stoppedClock()) + 1000)})
	h.close()
	s := newStore(t.TempDir(), OS{}, stoppedClock)
	defer s.close()
	newHistory(OS{}, name, 10).load(s.seen)
	if id := s.newID(); id <= encodeID(idNumber(stoppedClock())+1000) {
		t.Errorf("%s was used before", id)
	}
}
