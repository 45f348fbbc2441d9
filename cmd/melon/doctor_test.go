package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/doctor"
	"melon/upstream/lab"
	"melon/upstream/relay"
)

// diagnose runs `melon doctor --json` for the one account.
func (h *home) diagnose(args ...string) (doctor.Report, int) {
	h.t.Helper()
	out, errs, status := h.run(append([]string{"doctor", "home", "--json", "--probe", "off"}, args...)...)
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		h.t.Fatalf("%v in %s%s", err, out, errs)
	}
	return r, status
}

func TestDoctorSendsNothing(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, ""))
	r, status := h.diagnose("--to", "someone@elsewhere.example")
	if status != 0 || r.Verdict != upstream.ClassOK || r.Account != "home" {
		t.Errorf("status %d, %+v", status, r)
	}
	asked := false
	for _, c := range provider.Commands(lab.SMTPProto) {
		asked = asked || strings.Contains(c.Line, "someone@elsewhere.example")
		if c.Verb == "DATA" || c.Verb == "BDAT" {
			t.Errorf("%s was sent", c.Verb)
		}
	}
	if !asked || len(provider.Messages()) > 0 || provider.Count(lab.SMTPProto, "RSET") == 0 {
		t.Error("the envelope was not offered and taken back")
	}
	// Without a name: an array of all. For people: lines, sentence, advice.
	out, _, status := h.run("doctor", "--json", "--probe", "off")
	var all []doctor.Report
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 || status != 0 {
		t.Errorf("status %d, %v: %s", status, err, out)
	}
	out, _, _ = h.run("doctor", "--probe", "off", "--lang", "ja")
	for _, want := range []string{"home <taro@provider-a.example>", "✓ relay", "ここからメールを送信できます。", "1. "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestDoctorReport(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Cert: lab.CertExpired})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, ""))
	file := filepath.Join(h.dir, "report.html")
	r, status := h.diagnose("--report", file)
	if status != exitFailed || r.Verdict != upstream.ClassCertificateInvalid {
		t.Errorf("status %d, %+v", status, r)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "<svg") || !strings.Contains(string(page), "certificate-invalid") || strings.Contains(string(page), lab.DefaultUser.Password) {
		t.Errorf("report:\n%s", page)
	}
}

func TestDoctorFindsThePortal(t *testing.T) {
	t.Parallel()
	portal := httptest.NewServer(http.RedirectHandler("http://login.hotel.example/", http.StatusFound))
	defer portal.Close()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, ""))
	out, _, status := h.run("doctor", "--probe", portal.URL)
	if status != exitFailed || !strings.Contains(out, "captive-portal") || !strings.Contains(out, "1. Open http://login.hotel.example/") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestDoctorWithoutAccounts(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	_, errs, _ := h.run("doctor", "--probe", "off")
	if !strings.Contains(errs, "melon account add") {
		t.Errorf("no word of how to go on: %s", errs)
	}
	for _, args := range [][]string{{"doctor", "nobody"}, {"doctor", "--to", "nowhere"}, {"doctor", "--probe", "ftp://x.example/"}, {"doctor", "a", "b"}} {
		if _, errs, status := h.run(args...); status != exitUsage {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

func TestDoctorWantsAnOutsideAddress(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	h.write(accountYAML(h, lab.Run(t, lab.Options{}), ""))
	if _, errs, status := h.run("doctor", "--probe", "off", "--to", "hanako@Provider-A.example"); status != exitUsage || !strings.Contains(errs, "another provider") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestDoctorAsksTheRelay makes no login to an account whose password the relay
// knows to be refused, whether it runs or did.
func TestDoctorAsksTheRelay(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	h.secret("password", "wrong")
	p := h.start()
	if err := p.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, fmt.Sprintf(appMessage, "x")); err == nil {
		t.Fatal("a wrong password sent mail")
	}
	failures := provider.Stats().AuthFailures
	for _, running := range []bool{true, false} {
		r, status := h.diagnose()
		if status != exitFailed || r.Verdict != upstream.ClassCredentialsRejected {
			t.Errorf("running %v: status %d, %+v", running, status, r)
		}
		if n := provider.Stats().AuthFailures; n != failures {
			t.Errorf("running %v: another login was made", running)
		}
		if running {
			p.stop(os.Interrupt)
		}
	}
	h.secret("password", lab.DefaultUser.Password)
	if r, status := h.diagnose("--force"); status != 0 {
		t.Errorf("--force: status %d, %+v", status, r)
	}
}

// TestRemembered reads what a relay wrote.
func TestRemembered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	provider := lab.Run(t, lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}, Dir: t.TempDir()})
	a := provider.Account("home")
	r, err := relay.New(relay.Options{Dialer: &dial.Dialer{}, Secrets: provider, StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	env := upstream.Envelope{From: a.Address, Recipients: []upstream.Recipient{{Address: "hanako@elsewhere.example"}}}
	res := r.Send(t.Context(), []upstream.Account{a}, env, wholeBody("Subject: x\r\n\r\n"))
	if err := r.Close(); err != nil || res.Err != nil {
		t.Fatal(err, res.Err)
	}
	if known, refused := remembered(dir, a); known != (doctor.Known{SMTPTLS: true, POPTLS: true}) || refused != nil {
		t.Errorf("%+v, %v", known, refused)
	}
	a.SMTP.Host = "another.example"
	if known, _ := remembered(dir, a); known != (doctor.Known{}) {
		t.Errorf("other settings: %+v", known)
	}
}
