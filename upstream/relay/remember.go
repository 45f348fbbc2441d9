package relay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"melon/upstream"
)

// Memory is what is remembered about an account over restarts.
type Memory struct {
	Auth      string          // how it last authenticated, "" when it never did
	Attention *upstream.Error // why it waits for the person; nil when it does not
	SMTPTLS   bool            // the SMTP server was encrypted once, on whatever network
	POPTLS    bool            // the same of the POP3 server
	Networks  []Learned       // the newest first
}

// Learned is what proved right on one network.
type Learned struct {
	Network         string        `json:"network"` // network.State.Key of it
	Since           time.Time     `json:"since"`
	Port            int           `json:"port,omitempty"`              // of those tried, where the account names none
	Mechanism       string        `json:"mechanism,omitempty"`         // SASL mechanism
	NeedsPOP        bool          `json:"needs_pop,omitempty"`         // the relay opens by a POP login
	ConnectAfterPOP bool          `json:"connect_after_pop,omitempty"` // a connection made before the login stays refused
	Settle          time.Duration `json:"settle,omitempty"`            // pause between login and MAIL, nanoseconds
	Window          time.Duration `json:"window,omitempty"`            // that held, where it is shorter than configured
	Lockstep        bool          `json:"lockstep,omitempty"`          // pipelining breaks the server
}

// Remembered reads what a relay with this state directory learned about an
// account under these very settings. A relay may be running. Nothing remembered
// is no error.
func Remembered(stateDir string, a upstream.Account) (Memory, error) {
	var m memory
	var out Memory
	b, err := os.ReadFile(filepath.Join(stateDir, factsFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return out, nil
	case err != nil:
		return out, err
	case json.Unmarshal(b, &m) != nil || m.Version != memoryVersion:
		return out, fmt.Errorf("%s cannot be understood", factsFile)
	}
	print := fingerprint(a)
	if am, ok := m.Accounts[a.Name]; ok && am.Settings == print {
		out.Auth, out.Attention = am.Auth, am.Attention
	}
	for key, f := range m.Facts[print] {
		f = f.believable()
		out.POPTLS = out.POPTLS || f.POP != nil && f.POP.TLS
		if key == everywhere {
			out.SMTPTLS = f.TLS
			continue
		}
		out.Networks = append(out.Networks, Learned{
			Network: key, Since: f.Learned, Port: f.Port, Mechanism: f.Mechanism, NeedsPOP: f.NeedPOP,
			ConnectAfterPOP: f.Sequence, Settle: f.Settle, Window: f.Window, Lockstep: f.Lockstep,
		})
	}
	slices.SortFunc(out.Networks, func(a, b Learned) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Network, b.Network))
	})
	return out, nil
}
