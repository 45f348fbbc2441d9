//go:build desktop && linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"melon/upstream/lab"
)

// otherUser runs the attacker as another user: as root does, or by a sudo that
// asks nothing.
func otherUser(t *testing.T, pid int, args ...string) string {
	t.Helper()
	// The test binary may be where others cannot look.
	bin, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "attacker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "attacker")
	if err := os.WriteFile(self, bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, self} {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := fmt.Sprintf("%s=%d", asAttacker, pid)
	cmd := exec.Command(self, args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Env = []string{env}
	} else {
		cmd = exec.Command("sudo", append([]string{"-n", "-u", "#65534", "env", env, self}, args...)...)
	}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the attacker: %v: %s", err, out)
	}
	return string(out)
}

// TestAttackByRealOtherUser lets another user of the machine try everything: to send
// mail, to command, to read, to write, to look into the process, to end it.
func TestAttackByRealOtherUser(t *testing.T) {
	r, s, p := honest(t)
	// The directory above may be looked into: what protects is Melon's own.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out := otherUser(t, r.cmd.Process.Pid, r.addr, webOf(t, r), s.state)
	t.Log(out)
	for _, want := range []string{
		`(?m)^smtp: "554 5\.7\.1 This Melon takes mail from its own user's programs only[^\\]*"$`,
		`(?m)^socket: cannot connect: .*permission denied`,
		`(?m)^kill: operation not permitted`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the attacker did not hear %s", want)
		}
	}
	for line := range strings.Lines(out) {
		got := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(got, "web: 2"), strings.HasPrefix(got, "web: ") && strings.Contains(got, "taro@"):
			t.Errorf("the web page lets another user in: %s", got)
		case strings.HasPrefix(got, "read "), strings.HasPrefix(got, "write "), strings.HasPrefix(got, "proc "):
			if strings.Contains(got, "<nil>") {
				t.Errorf("the attacker could %s", got)
			}
		}
	}
	if !r.alive() {
		t.Error("the attacker ended it")
	}
	nothingHappened(t, s, p)
	if strings.Count(r.log(), "connection refused") != 1 || !strings.Contains(r.log(), "uid 65534") {
		t.Errorf("the log has no clear line about the attempt:\n%s", r.log())
	}
	if code := handIn(t, r, lab.DefaultUser.Address); code != 250 {
		t.Errorf("the owner's own mail afterwards: %d", code)
	}
}
