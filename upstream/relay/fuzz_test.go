package relay

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

// FuzzLearned: whatever is in the file of learned facts, a relay starts; what it
// believes of it is within reason, can be written, and is read back as the same.
func FuzzLearned(f *testing.F) {
	a := upstream.Account{Name: "home", SMTP: upstream.Server{Host: "h"}}
	print := fingerprint(a)
	for _, s := range []string{
		`{"version":1,"facts":{"PRINT":{"net":{"learned":"2026-01-02T00:00:00Z","port":465,"mechanism":"PLAIN","settle":1000000000,"pop":{"TLS":true}},"*":{"learned":"2020-01-02T00:00:00Z","tls":true}}},"accounts":{"home":{"settings":"PRINT","auth":"plain","ready":true,"attention":{"Phase":"auth","Class":"credentials-rejected","Reply":{"Code":535,"Lines":["no"]}}}}}`,
		`{"version":1,"facts":{"PRINT":{"net":{"learned":"2026-01-02T00:00:00Z","port":-1,"settle":9223372036854775807,"window":-5,"max_messages":-1}}}}`,
		`{"version":1,"facts":{"PRINT":null},"accounts":{"home":{"settings":"PRINT","attention":{"Err":{}}}}}`,
		`{"version":2}`, `{"version":1,"facts":[]}`, "null", "", "{", `{"version":1}{}`, `{"version":1,"accounts":{"home":{"settings":"PRINT","last_try":"9999-12-31T23:59:59-23:59"}}}`,
	} {
		f.Add(strings.ReplaceAll(s, "PRINT", print))
	}
	now := func() time.Time { return time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC) }
	dir := f.TempDir()
	path := filepath.Join(dir, factsFile)
	f.Fuzz(func(t *testing.T, file string) {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, network := range []string{"net", everywhere, ""} {
			k := s.get(print, network)
			if k.Port < 0 || k.Port > 65535 || k.Settle < 0 || k.Settle > longestSettle || k.Window < 0 || k.MaxMessages < 0 {
				t.Errorf("believes %+v", k)
			}
		}
		known := s.get(print, "net")
		s.update(print, "net", func(k *facts) { k.Lockstep = !k.Lockstep })
		s.setAccount("other", accountMemory{Settings: "x"})
		if s.err != nil {
			return // a time that RFC 3339 cannot say
		}
		again, err := openStore(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		got := again.get(print, "net")
		if known.Lockstep = !known.Lockstep; known.Learned.IsZero() {
			known.Learned = now()
		}
		if !got.Learned.Equal(known.Learned) {
			t.Errorf("learned %v became %v", known.Learned, got.Learned)
		}
		if got.Learned = known.Learned; !reflect.DeepEqual(got, known) {
			t.Errorf("%+v became %+v", known, got)
		}
		m, err := Remembered(dir, a)
		if before := s.account("home", print); err != nil || m.Auth != before.Auth || (m.Attention == nil) != (before.Attention == nil) {
			t.Errorf("%+v became %+v, %v", before, m, err)
		}
		if _, err := os.Stat(path + ".bad"); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
}
