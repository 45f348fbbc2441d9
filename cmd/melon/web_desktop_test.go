//go:build desktop && !windows

// These tests use the web page as a person does, in a real Chromium, against a
// real `melon run` and a provider in a box. Their pictures are kept with
// -artifacts.

package main

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"melon/upstream"
	"melon/upstream/lab"
)

// popFirst is a provider that relays only after a POP login, unencrypted.
func popFirst(t *testing.T) *lab.Provider {
	t.Helper()
	return lab.Run(t, lab.Options{
		Hosts: []string{"127.0.0.1"}, Rules: lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}},
		SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}, POP: lab.POP{Without: []string{"STLS"}},
	})
}

// webHome is a home whose page is at the same address after a restart.
func webHome(t *testing.T, more string) *home {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	h := newHome(t, "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \""+addr+"\"}\n"+more)
	h.env = []string{noKeyring}
	return h
}

// accountYAML is an account of the provider as the configuration has it.
func (h *home) accountYAML(p *lab.Provider) string {
	a := p.Account("home")
	return fmt.Sprintf(`accounts:
  home:
    address: taro@provider-a.example
    username: taro
    password: {file: %s}
    auth: pop-before-smtp
    smtp: {host: 127.0.0.1, port: %d, security: none}
    pop: {host: 127.0.0.1, port: %d, security: none}
    allow_plaintext: true
default: home
`, h.secret("pw", lab.DefaultUser.Password), a.SMTP.Port, a.POP.Port)
}

// read returns the configuration.
func (h *home) read() string {
	h.t.Helper()
	data, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

// pause holds all sending.
func (h *home) pause() {
	h.t.Helper()
	if _, errs, status := h.run("pause"); status != 0 {
		h.t.Fatalf("melon pause: %d %s", status, errs)
	}
}

// visitor is a person at the page.
type visitor struct {
	t    *testing.T
	h    *home
	tab  context.Context
	base string
	dir  string // for pictures

	mu     sync.Mutex
	faults []string // what the browser complained about
}

// visit opens the page by a one-time link.
func visit(t *testing.T, h *home) *visitor {
	t.Helper()
	v := &visitor{t: t, h: h, tab: browserFor(t, 5*time.Minute), dir: t.ArtifactDir()}
	v.do(chromedp.EmulateViewport(1100, 850))
	if err := chromedp.Listen(v.tab, v.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(v.tab, log.Enable, struct{}{}); err != nil {
		t.Fatal(err)
	}
	out, errs, status := h.run("open", "--print")
	if status != 0 {
		t.Fatalf("melon open: %d %s", status, errs)
	}
	link := strings.TrimSpace(out)
	v.base = link[:strings.Index(link, "/open")]
	v.do(chromedp.Navigate(link))
	v.see("Melon")
	v.until(`location.pathname === "/"`)
	t.Cleanup(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.faults) > 0 {
			t.Errorf("the browser complains: %q", v.faults)
		}
	})
	return v
}

// hear notes what the browser complains about: a policy that was broken, a script
// that failed. A relay that is gone is no fault of the page.
func (v *visitor) hear(ev any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError && ev.Entry.Source != log.EntrySourceNetwork {
			v.faults = append(v.faults, ev.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		v.faults = append(v.faults, ev.ExceptionDetails.Text)
	}
}

func (v *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.tab, steps...); err != nil {
		v.t.Fatalf("%v\n%s", err, v.text())
	}
}

// text is what can be read on the page.
func (v *visitor) text() string {
	text, err := chromedp.Run(v.tab, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return err.Error()
	}
	return text
}

// until waits until an expression holds. It asks from outside, so that it works
// on a page that runs no scripts.
func (v *visitor) until(expression string) {
	v.t.Helper()
	for {
		ok, err := chromedp.Run(v.tab, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && ok {
			return
		}
		if v.tab.Err() != nil {
			v.shot("failed")
			v.t.Fatalf("waited for %s (%v)\n%s", expression, err, v.text())
		}
	}
}

// see waits until a text is on the page.
func (v *visitor) see(text string) {
	v.t.Helper()
	v.until("document.body && document.body.innerText.includes(" + strconv.Quote(text) + ")")
}

// click clicks what a person sees under this name: a button or a link.
func (v *visitor) click(name string) {
	v.t.Helper()
	v.do(chromedp.Click(`//main//*[self::button or self::a or self::summary][normalize-space(.)="`+name+`"]`, chromedp.NodeVisible))
}

// menu clicks an entry of the menu.
func (v *visitor) menu(href string) {
	v.t.Helper()
	v.do(chromedp.Click(chromedp.CSS(`header nav a[href="` + href + `"]`)))
	v.until(`location.pathname === "` + href + `" && document.readyState === "complete"`)
}

func (v *visitor) fill(id, text string) {
	v.t.Helper()
	v.do(chromedp.Clear(chromedp.ID(id)), chromedp.SendKeys(chromedp.ID(id), text))
}

// shot takes a picture.
func (v *visitor) shot(name string) {
	v.t.Helper()
	picture, err := chromedp.Run(v.tab, chromedp.CaptureScreenshot())
	if err != nil {
		return // the test says what is wrong
	}
	if err := os.WriteFile(filepath.Join(v.dir, name+".png"), picture, 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// send sends a message as the person's mail app would.
func send(t *testing.T, addr, to, subject string) {
	t.Helper()
	message := "From: Taro <taro@provider-a.example>\r\nTo: <" + to + ">\r\nSubject: " + subject + "\r\n\r\nThe room is fine.\r\n"
	if err := smtp.SendMail(addr, nil, "taro@provider-a.example", []string{to}, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// TestDesktopFirstStart goes from nothing at all to the first sent message by
// clicking, with a provider that wants a POP login first.
func TestDesktopFirstStart(t *testing.T) {
	t.Parallel()
	provider := popFirst(t)
	h := webHome(t, "")
	p := h.start()
	v := visit(t, h)
	v.see("no account yet")
	v.shot("first-start")
	v.click("Add an account")
	v.see("Find the servers")
	v.fill("address", "taro@provider-a.example")
	v.fill("password", lab.DefaultUser.Password)
	v.click("Find the servers")
	v.see("No settings were found")
	a := provider.Account("home")
	v.fill("username", "taro")
	v.fill("smtp_host", "127.0.0.1")
	v.fill("smtp_port", strconv.Itoa(a.SMTP.Port))
	v.do(chromedp.SetValue(chromedp.ID("smtp_security"), "none"))
	v.do(chromedp.SetValue(chromedp.ID("auth"), "pop-before-smtp"))
	v.fill("pop_host", "127.0.0.1")
	v.fill("pop_port", strconv.Itoa(a.POP.Port))
	v.do(chromedp.SetValue(chromedp.ID("pop_security"), "none"), chromedp.Click(chromedp.ID("allow_plaintext")))
	v.shot("settings-form")
	v.click("Test and save")
	v.see("provider-a is set up and works")
	v.see("localhost")
	v.shot("saved")
	v.menu("/")
	v.see("Nothing yet")
	send(t, p.addr, "hanako@elsewhere.example", "Hello from the hotel")
	v.see("hanako@elsewhere.example") // by itself
	v.see("POP before SMTP")
	v.shot("home")
	if got, err := provider.Wait(t.Context(), 1); err != nil || len(got) != 1 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	v.click("conversation")
	v.see("MAIL FROM:<taro@provider-a.example>")
	v.shot("conversation")
	v.menu("/activity")
	v.see("POP3")
	if text := v.text(); strings.Contains(text, lab.DefaultUser.Password) {
		t.Error("the page shows the password")
	}
	v.shot("activity")
	saved, err := os.ReadFile(h.config)
	if err != nil || strings.Contains(string(saved), lab.DefaultUser.Password) {
		t.Errorf("the configuration holds the password (%v)", err)
	}
}

// TestDesktopOutbox takes a message that cannot go through its life on the page.
func TestDesktopOutbox(t *testing.T) {
	t.Parallel()
	provider := popFirst(t)
	h := webHome(t, "")
	h.write(h.read() + h.accountYAML(provider))
	p := h.start()
	v := visit(t, h)
	h.pause()
	v.see("Sending is paused")
	send(t, p.addr, "one@elsewhere.example", "first")
	send(t, p.addr, "two@elsewhere.example", "second")
	v.menu("/outbox")
	v.see("Messages: 2")
	v.shot("outbox")
	v.click("one@elsewhere.example")
	v.see("Kept since")
	v.click("Hold")
	v.see("It waits until you release it")
	v.shot("held")
	v.click("Release")
	v.see("It goes by itself")
	v.click("← Outbox")
	v.see("Messages: 2")
	v.do(chromedp.Click(chromedp.CSS(`.entry:first-child input[name=id]`)))
	v.click("Remove…")
	v.see("Remove for good, without sending?")
	v.shot("remove")
	v.click("Remove for good")
	v.see("Messages: 1")
	v.menu("/")
	v.click("Resume sending")
	v.see("Everything is sent")
	v.see("two@elsewhere.example")
	if got, err := provider.Wait(t.Context(), 1); err != nil || len(got) != 1 || got[0].Envelope.Recipients[0].Address != "two@elsewhere.example" {
		t.Fatalf("%v, %v", got, err)
	}
}

// TestDesktopDoctor asks why a message does not go, and finds out.
func TestDesktopDoctor(t *testing.T) {
	t.Parallel()
	provider := popFirst(t)
	h := webHome(t, "")
	h.write(h.read() + strings.Replace(h.accountYAML(provider), "password: {file: "+filepath.Join(h.dir, "pw")+"}", "password: {file: "+h.secret("wrong", "not-it")+"}", 1))
	h.start()
	v := visit(t, h)
	v.menu("/why")
	v.do(chromedp.SendKeys(chromedp.ID("reply"), "550 5.7.1 Relaying denied. Please check your mail first."))
	v.click("Explain")
	v.see("pop-before-smtp-required")
	v.click("Find out")
	v.see("It gets to the provider, which does not take it.")
	v.see(string(upstream.ClassPOPCredentialsRejected))
	v.shot("doctor")
	v.until(`document.querySelectorAll(".stop.bad").length === 1 && document.querySelector("[data-print]").offsetParent`)
}

// TestDesktopLanguage switches the language and back.
func TestDesktopLanguage(t *testing.T) {
	t.Parallel()
	h := webHome(t, "")
	h.start()
	v := visit(t, h)
	v.menu("/settings")
	v.do(chromedp.Click(chromedp.CSS(`header button[name=lang]`)))
	v.see("設定")
	v.until(`document.documentElement.lang === "ja" && location.pathname === "/settings"`)
	v.shot("settings-ja")
	v.menu("/")
	v.see("アカウントがまだありません")
	v.shot("home-ja")
	v.do(chromedp.Click(chromedp.CSS(`header button[name=lang]`)))
	v.see("no account yet")
}

// TestDesktopWithoutJavaScript does what matters with scripts switched off.
func TestDesktopWithoutJavaScript(t *testing.T) {
	t.Parallel()
	provider := popFirst(t)
	h := webHome(t, "")
	h.write(h.read() + h.accountYAML(provider))
	p := h.start()
	v := visit(t, h)
	if _, err := chromedp.Call(v.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	v.menu("/settings")
	v.click("Pause sending")
	v.see("Sending is paused.")
	send(t, p.addr, "one@elsewhere.example", "first")
	v.menu("/outbox")
	v.click("one@elsewhere.example")
	v.see("Kept since")
	v.click("Remove…")
	v.click("Remove for good")
	v.see("Nothing waits")
	v.menu("/why")
	v.click("Find out") // its page reloads itself
	v.see("The way is free.")
	v.menu("/account")
	v.click("home")
	v.click("Test")
	v.see("It works. No message was sent.")
	v.until(`!document.querySelector("[data-print]:not([hidden])")`)
}

// TestDesktopNarrow: at 360 pixels nothing reaches beyond the window.
func TestDesktopNarrow(t *testing.T) {
	t.Parallel()
	v := furnished(t, 60)
	v.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	for _, path := range furnishedPages(v) {
		v.do(chromedp.Navigate(v.base + path))
		width, err := chromedp.Run(v.tab, chromedp.Evaluate[float64](`document.documentElement.scrollWidth`))
		if err != nil || width > 360 {
			t.Errorf("%s is %v pixels wide, %v", path, width, err)
		}
		v.shot("narrow" + strings.ReplaceAll(path, "/", "-"))
	}
}

// TestDesktopRestart: a page that is open while the relay is killed says so, and
// goes on by itself when it is back.
func TestDesktopRestart(t *testing.T) {
	t.Parallel()
	provider := popFirst(t)
	h := webHome(t, "")
	h.write(h.read() + h.accountYAML(provider))
	p := h.start()
	v := visit(t, h)
	v.see("Melon is ready")
	p.stop(syscall.SIGKILL)
	v.see("Melon is not answering")
	v.shot("gone")
	p = h.start()
	v.see("Melon is back")
	v.until(`document.getElementById("connection").hidden`)
	send(t, p.addr, "after@elsewhere.example", "after")
	v.see("after@elsewhere.example")
}
