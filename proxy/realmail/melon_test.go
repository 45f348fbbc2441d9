//go:build realmail

package realmail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// melonBinary builds the program once.
var melonBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(scratchVar), "melon")
	if out, err := exec.Command("go", "build", "-o", path, "melon/cmd/melon").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building melon: %w\n%s", err, out)
	}
	return path, nil
})

// melon is a running `melon run`.
type melon struct {
	*daemon
	addr string // host:port of its SMTP listener
}

// The values of `delivery` that the tests use: live is the default; with pass
// nothing is kept for later, so that every failure is heard of at once.
const (
	live = "live"
	pass = "pass"
)

// startMelon runs Melon with those accounts, each as account writes it, until
// the test ends. The log has the protocol, for when the test fails.
func startMelon(t testing.TB, delivery string, accounts ...string) *melon {
	t.Helper()
	binary, err := melonBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: off}\ndelivery: " + delivery + "\naccounts:\n" + strings.Join(accounts, "")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "run", "--config", config, "--state", filepath.Join(dir, "state"), "--log-level", "trace")
	cmd.Env = append(os.Environ(), "MELON_REALMAIL_PASSWORD="+password, "MELON_REALMAIL_TOKEN="+token, "MELON_REALMAIL_WRONG=not the password")
	m := &melon{daemon: startDaemon(t, "melon", cmd, newJournal())}
	line := m.waitFor(t, "listening smtp ")
	m.waitFor(t, "ready")
	m.addr = strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
	return m
}

// account writes the settings of an account at p. extra are more settings, each "name: value" or empty.
func (p *provider) account(name, user string, extra ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    address: %s@%s\n    username: %s\n    password: {env: MELON_REALMAIL_PASSWORD}\n    trust: {ca: %s}\n", name, user, p.domain, user, p.ca)
	for _, line := range extra {
		if line != "" {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	return b.String()
}

// popBeforeSMTP is the account of somebody whose provider has POP before SMTP
// and no encryption, as in 1999.
func (p *provider) popBeforeSMTP(name, user string) string {
	return p.account(name, user,
		"auth: pop-before-smtp",
		"allow_plaintext: true",
		fmt.Sprintf("smtp: {host: %s, port: %d, security: none}", p.host, p.smtp),
		fmt.Sprintf("pop: {host: %s, port: %d, security: none}", p.host, p.pop),
		fmt.Sprintf("pop_before_smtp: {window: %s}", window))
}

// secret makes the account read another secret, of those that startMelon gives
// to Melon.
func secret(account, name string) string {
	return strings.Replace(account, "{env: MELON_REALMAIL_PASSWORD}", "{env: "+name+"}", 1)
}

// authenticated is the account of somebody whose provider has SMTP AUTH and
// STARTTLS.
func (p *provider) authenticated(name, user, auth string) string {
	return p.account(name, user,
		"auth: "+auth,
		fmt.Sprintf("smtp: {host: %s, port: %d, security: starttls}", p.host, p.smtp))
}
