package relay

import (
	"os"
	"path/filepath"
	"testing"

	"melon/upstream"
	"melon/upstream/lab"
)

// What one network taught is shown apart from what another did, and not for
// other settings.
func TestRemembered(t *testing.T) {
	dir := t.TempDir()
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.r.Close()
		h.r = h.relay(Options{StateDir: dir})
		h.a.Auth = upstream.AuthAuto
		h.mustSend()
		h.iface.Store("eth0")
		h.r.NetworkChanged()
		h.p.ForgetRelay()
		h.mustSend()
		m, err := Remembered(dir, h.a)
		if err != nil || m.Auth != popMethod || m.Attention != nil || m.SMTPTLS || len(m.Networks) != 2 {
			t.Errorf("%+v, %v", m, err)
		}
		for _, n := range m.Networks {
			if !n.NeedsPOP || n.Network == "" || n.Since.IsZero() {
				t.Errorf("%+v", n)
			}
		}
		other := h.a
		other.SMTP.Host = "smtp.elsewhere.example"
		if m, err := Remembered(dir, other); err != nil || len(m.Networks) != 0 || m.Auth != "" {
			t.Errorf("for other settings: %+v, %v", m, err)
		}
		if m, err := Remembered(t.TempDir(), h.a); err != nil || len(m.Networks) != 0 {
			t.Errorf("without a file: %+v, %v", m, err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, factsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Remembered(dir, upstream.Account{}); err == nil {
		t.Error("half a file was understood")
	}
}
