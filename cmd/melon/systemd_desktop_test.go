//go:build desktop && linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"melon/upstream/lab"
)

// session gives an ordinary user (uid 1500) a systemd user manager of their own,
// in namespaces, and runs a script as that user: root's part. Everything that is
// made is in a tmpfs, but for the control group, which is removed.
const session = `set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system /run/user/1500/home/.config
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/melon-$$
mkdir "$group"
cp "$1/melon" "$1/config.yaml" "$1/user" /run/user/1500/home/
chmod 0600 /run/user/1500/home/config.yaml
chown -R 1500:1500 /run/user/1500 "$group"
chmod 0700 /run/user/1500
status=0
unshare --pid --fork --kill-child --mount-proc sh -c "
	echo 0 > $group/cgroup.procs
	export HOME=/run/user/1500/home XDG_RUNTIME_DIR=/run/user/1500 LANG=C
	cd /run/user/1500/home
	exec setpriv --reuid 1500 --regid 1500 --clear-groups sh ./user" || status=$?
find "$group" -depth -type d -exec rmdir {} +
exit $status
`

// user is what the person does. The password comes from a command, so that one
// runs under the unit's restrictions as well. The manager and Melon say through a
// pipe that they are ready.
const user = `set -eu
units=$HOME/.config/systemd/user
mkdir -p "$units/melon.service.d"
mkfifo said
exec 3<>said
printf '[Service]\nType=oneshot\nExecStart=sh -c "echo ready > said"\nWorkingDirectory=%%h\n' >"$units/up.service"
printf '[Service]\nStandardError=file:%s/said\n' "$HOME" >"$units/melon.service.d/said.conf"
ready() { while read -r line <&3; do case $line in *ready) break ;; esac; done; }
/lib/systemd/systemd --user --unit=up.service --log-target=null &
ready
export ` + asMelon + `=1
systemctl --user import-environment ` + asMelon + `
melon() { ./melon --config "$HOME/config.yaml" --state "$HOME/state" "$@"; }
melon autostart on
systemd-analyze security --offline=true "$units/melon.service" | tail -n 1
systemctl --user start melon.service
for subject in live restarted; do
	ready
	printf 'From: taro@provider-a.example\nTo: hanako@other.example\nSubject: %s\n\nhello\n' $subject | melon sendmail -i -t
	melon status
	systemctl --user reload melon.service
	systemctl --user restart melon.service
done
cat "/proc/$(systemctl --user show -P MainPID melon.service)/status" | grep -E '^(Seccomp|NoNewPrivs):'
systemctl --user stop melon.service
systemctl --user show -P Result melon.service
`

// TestDesktopUnderSystemd: with all restrictions of its unit Melon starts under a
// real user manager, asks a command for the password, sends, reloads, starts
// again and stops. It needs root or a sudo that asks nothing.
func TestDesktopUnderSystemd(t *testing.T) {
	t.Parallel()
	p, err := lab.Start(lab.Options{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir, err := os.MkdirTemp("", "unit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host, port, err := net.SplitHostPort(p.SMTPSAddr())
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`listen: {smtp: ["127.0.0.1:0"]}
control: {web: "off"}
accounts:
  home:
    address: taro@provider-a.example
    username: %s
    password: {command: [sh, -c, "echo %s"]}
    trust: {ca: %s}
    smtp: {host: %s, port: %s, security: tls}
default: home
`, lab.DefaultUser.Name, lab.DefaultUser.Password, filepath.Join(dir, "ca.pem"), host, port)
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{"melon", program, 0o755},
		{"config.yaml", []byte(config), 0o644},
		{"ca.pem", p.CAPEM(), 0o644},
		{"user", []byte(user), 0o644},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // uid 1500 reads it
		t.Fatal(err)
	}
	args := []string{"unshare", "--mount", "--cgroup", "sh", "-c", session, "sh", dir}
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(ctx, 2); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"exposure level for melon.service: 6.3", "NoNewPrivs:\t1", "Seccomp:\t2", "\nsuccess\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("without %q", want)
		}
	}
}
