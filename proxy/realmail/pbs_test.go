//go:build realmail

package realmail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// window is how long a POP login opens the provider's relay.
const window = 10 * time.Minute

// pbsNote is Dovecot's post-login script (doc.dovecot.org, "Post-login
// scripting"): it notes the client's address, then starts the POP3 session,
// which tells the client that it is logged in. It also notes who logged in and
// how, for the tests to count; on a busy machine Dovecot's own log was seen to
// lack the login of a client that left at once.
const pbsNote = `#!/bin/sh
: > "/var/lib/pbs/$IP"
echo "$USER $MECH" >> /var/lib/pbs/logins
exec "$@"
`

// pbsPolicy is Postfix's policy service (SMTPD_POLICY_README): one request is
// lines name=value and an empty one; the answer is an action and an empty line.
const pbsPolicy = `#!/bin/sh
while IFS= read -r line; do
	case $line in
	client_address=*) address=${line#*=} ;;
	"")
		action=DUNNO
		[ -z "$(find "/var/lib/pbs/$address" -newermt '-%d seconds' 2>/dev/null)" ] || action=OK
		printf 'action=%%s\n\n' "$action"
		;;
	esac
done
`

// writePBS installs the two scripts that make POP before SMTP.
func (p *provider) writePBS(t testing.TB) {
	t.Helper()
	p.mkdir(t, "var/lib/pbs", vmailUID, vmailUID, 0o755)
	p.write(t, "usr/local/bin/pbs-note", 0o755, pbsNote)
	p.write(t, "usr/local/bin/pbs-policy", 0o755, fmt.Sprintf(pbsPolicy, int(window.Seconds())))
}

// popLogins returns the POP logins until now, each "user MECHANISM".
func (p *provider) popLogins(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.root, "var/lib/pbs/logins"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
}

// wantPOPLogins fails the test unless there were that many POP logins.
func (p *provider) wantPOPLogins(t testing.TB, want int, when string) {
	t.Helper()
	if got := p.popLogins(t); len(got) != want {
		t.Errorf("%d POP logins %s, want %d: %q", len(got), when, want, got)
	}
}

// passTime makes the last POP login from the address d older, which is all
// that the policy service sees of time.
func (p *provider) passTime(t testing.TB, address string, d time.Duration) {
	t.Helper()
	name := filepath.Join(p.root, "var/lib/pbs", address)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no POP login from %s", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	then := info.ModTime().Add(-d)
	if err := os.Chtimes(name, then, then); err != nil {
		t.Fatal(err)
	}
}
