//go:build desktop

// These tests talk to a real Secret Service: gnome-keyring on a D-Bus of its
// own, without a display. They need the packages dbus-daemon and gnome-keyring:
//
//	go test -tags desktop ./upstream/auth/

package auth

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"melon/upstream"
)

// prepareKeyring starts the bus and the keyring before go-keyring's first use:
// its D-Bus library keeps the first session bus it finds.
func prepareKeyring() (stop func()) {
	d, err := startDesktop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "desktop:", err)
		os.Exit(1)
	}
	session = d
	return d.stop
}

// session is the one desktop of this test process: so is go-keyring's bus.
var session *desktop

// desktop is a private session: a bus, a keyring daemon and a home.
type desktop struct {
	dir    string
	bus    *exec.Cmd
	daemon *exec.Cmd
}

func startDesktop() (*desktop, error) {
	dir, err := os.MkdirTemp("", "melon-desktop-*")
	if err != nil {
		return nil, err
	}
	d := &desktop{dir: dir}
	conf := filepath.Join(dir, "bus.conf")
	// No service directories: nothing is started on demand.
	const xml = `<busconfig><type>session</type><listen>unix:dir=%s</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(conf, fmt.Appendf(nil, xml, dir), 0o600); err != nil {
		return nil, err
	}
	d.bus = exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--print-address=1")
	out, err := d.bus.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.bus.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	os.Unsetenv("DISPLAY")
	os.Unsetenv("WAYLAND_DISPLAY")
	for name, value := range map[string]string{
		"DBUS_SESSION_BUS_ADDRESS": strings.TrimSpace(address),
		"HOME":                     dir, "XDG_DATA_HOME": dir, "XDG_RUNTIME_DIR": dir,
	} {
		os.Setenv(name, value)
	}
	return d, d.unlock("pw")
}

// unlock starts the keyring daemon with the login keyring open, in place of one
// that runs.
func (d *desktop) unlock(password string) error {
	d.stopDaemon()
	d.daemon = exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets", "--control-directory="+d.dir)
	d.daemon.Stdin = strings.NewReader(password)
	if err := d.daemon.Start(); err != nil {
		return err
	}
	return d.waitLocked(false)
}

const loginCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")

// waitLocked asks the daemon until it is there and its login keyring as wanted.
func (d *desktop) waitLocked(want bool) error {
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	defer conn.Close()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		v, err := conn.Object("org.freedesktop.secrets", loginCollection).GetProperty("org.freedesktop.Secret.Collection.Locked")
		if locked, ok := v.Value().(bool); err == nil && ok && locked == want {
			return nil
		}
	}
	return errors.New("the keyring daemon does not get ready")
}

// lock locks the login keyring, as a screen lock may.
func (d *desktop) lock() error {
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	defer conn.Close()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err = conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{loginCollection}).Store(&locked, &prompt)
	if err != nil {
		return err
	}
	return d.waitLocked(true)
}

func (d *desktop) stopDaemon() {
	if d.daemon != nil {
		d.daemon.Process.Kill()
		d.daemon.Wait()
		d.daemon = nil
	}
}

func (d *desktop) stop() {
	d.stopDaemon()
	d.bus.Process.Kill()
	d.bus.Wait()
	os.RemoveAll(d.dir)
}

// TestSecretService is one test: there is one keyring, and it is locked, lost
// and brought back on the way.
func TestSecretService(t *testing.T) {
	var s Secrets
	ctx, ref := t.Context(), upstream.SecretRef{Keyring: "home"}
	want := func(step, secret string, is error) {
		t.Helper()
		got, err := s.Get(ctx, ref)
		if got != secret || !errors.Is(err, is) {
			t.Fatalf("%s: Get = %q, %v; want %q, %v", step, got, err, secret, is)
		}
		if is == ErrKeyring && upstream.AsError(err, "").Kind() != upstream.KindTemporary {
			t.Errorf("%s: %v is not temporary", step, err)
		}
	}
	want("before", "", ErrMissing)
	for _, secret := range []string{canary, "パスワード", "two\nlines\n", strings.Repeat("x", 20_000)} {
		if err := s.Set(ctx, ref, secret); err != nil {
			t.Fatal(err)
		}
		want("stored", secret, nil)
	}
	if err := s.Set(ctx, ref, canary); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(session.dir, "keyrings", "*"))
	for _, name := range files {
		if data, _ := os.ReadFile(name); strings.Contains(string(data), canary) {
			t.Errorf("%s holds the secret in clear", name)
		}
	}
	if len(files) == 0 {
		t.Error("nothing was stored on disk")
	}

	if err := session.lock(); err != nil {
		t.Fatal(err)
	}
	want("locked", "", ErrKeyring)
	if err := s.Set(ctx, ref, "other"); !errors.Is(err, ErrKeyring) {
		t.Errorf("Set in a locked keyring: %v", err)
	}
	session.stopDaemon()
	want("absent", "", ErrKeyring)
	if err := session.unlock("pw"); err != nil {
		t.Fatal(err)
	}
	want("unlocked again", canary, nil)

	if err := s.Delete(ctx, ref); err != nil {
		t.Fatal(err)
	}
	want("deleted", "", ErrMissing)
}

// TestSecretServiceTokens keeps an OAuth grant in it.
func TestSecretServiceTokens(t *testing.T) {
	server := newAuthServer(t)
	store := (&Secrets{}).TokenStore(func(account string) upstream.SecretRef {
		return upstream.SecretRef{Keyring: "oauth-" + account}
	})
	if err := store.Save(t.Context(), "home", expired()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // two starts
		o := newTestOAuth(t, OAuthOptions{Store: store})
		if token, err := o.Token(t.Context(), server.account()); token != "access-1-"+canary || err != nil {
			t.Fatalf("Token = %q, %v", token, err)
		}
	}
	if err := store.Delete(t.Context(), "home"); err != nil {
		t.Fatal(err)
	}
}
