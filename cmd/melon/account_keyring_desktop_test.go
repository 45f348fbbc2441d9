//go:build desktop && linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"melon/upstream/lab"
)

// secretService starts a D-Bus and a gnome-keyring of the test's own and returns
// the environment in which programs find them. They end with the test. It needs
// the packages dbus-daemon and gnome-keyring.
func secretService(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "melon-keyring-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "bus.conf")
	// No service directories: nothing is started on demand.
	const xml = `<busconfig><type>session</type><listen>unix:dir=%s</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(conf, fmt.Appendf(nil, xml, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--print-address=1")
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"DBUS_SESSION_BUS_ADDRESS=" + strings.TrimSpace(address), "XDG_DATA_HOME=" + dir, "DISPLAY=", "WAYLAND_DISPLAY="}
	ring := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets", "--control-directory="+dir)
	ring.Env = append(append(os.Environ(), env...), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	ring.Stdin = strings.NewReader("pw")
	run(t, ring)
	unlocked(t, strings.TrimSpace(address))
	return env
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// unlocked asks the keyring until its login collection is open.
func unlocked(t *testing.T, address string) {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		v, err := conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets/collection/login").GetProperty("org.freedesktop.Secret.Collection.Locked")
		if locked, ok := v.Value().(bool); err == nil && ok && !locked {
			return
		}
	}
	t.Fatal("the keyring does not get ready")
}

// TestDesktopKeyring keeps the password in a real Secret Service: nothing is
// asked, no file holds it, the relay finds it, and remove takes it away.
func TestDesktopKeyring(t *testing.T) {
	t.Parallel()
	env := secretService(t)
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, emptyRelay)
	h.env = env
	p := h.typingWith(env, "account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr())
	p.see("will be kept in the system keyring")
	p.types("Password for taro", lab.DefaultUser.Password)
	p.types("Send a message to yourself now? [Y/n]", "")
	p.ends(exitDone)
	if left, err := os.ReadDir(filepath.Join(h.state, "secrets")); err == nil {
		t.Errorf("a file was written: %v", left)
	}
	if s := jsonOf[shownAccount](h, "account", "show", "provider-a"); s.Secret != "keyring" {
		t.Errorf("%+v", s)
	}
	relay := h.start()
	relay.mustSend(fmt.Sprintf(appMessage, "with the keyring"))
	if _, err := provider.Wait(wait(t), 2); err != nil {
		t.Fatalf("%v\n%s", err, relay.output())
	}
	if _, errs, status := h.run("account", "remove", "provider-a", "--yes"); status != exitDone {
		t.Fatal(errs)
	}
	// A new account of that name finds nothing there.
	h.write(strings.Replace(accountYAML(h, provider, ""), "{file: "+filepath.Join(h.dir, "password")+"}", "{keyring: provider-a}", 1))
	if out, _, status := h.run("account", "test", "home"); status != exitFailed || !strings.Contains(out, "keyring") {
		t.Errorf("%d, %s", status, out)
	}
}
