//go:build realmail

package realmail

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// app is a mail client as it comes from Debian.
type app struct {
	name    string
	program string
	pkg     string // Debian's package
	adds    string // what it sends beside the message that it is given
	send    func(t testing.TB, m mail) *exec.Cmd
}

// mail is what an app is to send, and where.
type mail struct {
	host, port string
	from, to   string
	dir        string // an empty directory, its HOME
	file       string // the whole message, with LF
	login      string // name to log in to Melon with, where the app can; the password is any
}

// text is the message's body: 8-bit text, dots at the beginning of lines,
// spaces at the end, a line of more than 998 octets.
var text = "こんにちは、宿から。\n.\n..two\n.three dots?\ntrailing space \n\n" + strings.Repeat("long ", 250) + "\nlast line\n"

// whole is the message of the apps that send a message as it is.
func whole(from, to string) string {
	return "From: Taro <" + from + ">\nTo: <" + to + ">\nSubject: =?utf-8?B?44OG44K544OI?=\n" +
		"Date: Mon, 2 Jan 2006 15:04:05 +0900\nMessage-ID: <" + to + ">\nMIME-Version: 1.0\n" +
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + text
}

// apps are the clients. Each gets a home directory of its own and no
// configuration but what is here.
var apps = []app{
	{name: "swaks", program: "swaks", pkg: "swaks", send: func(t testing.TB, m mail) *exec.Cmd {
		return exec.Command("swaks", "--server", m.host, "--port", m.port, "--from", m.from, "--to", m.to,
			"--auth", "PLAIN", "--auth-user", m.login, "--auth-password", "any", "--data", "@"+m.file)
	}},
	{name: "msmtp", program: "msmtp", pkg: "msmtp", send: func(t testing.TB, m mail) *exec.Cmd {
		cmd := exec.Command("msmtp", "--file=/dev/null", "--host="+m.host, "--port="+m.port, "--tls=off",
			"--auth=off", "--from="+m.from, "--", m.to)
		return withInput(t, cmd, m.file)
	}},
	{name: "mutt", program: "mutt", pkg: "mutt", send: func(t testing.TB, m mail) *exec.Cmd {
		write(t, m.dir, "muttrc", "set tmpdir=\""+m.dir+"\" smtp_url=\"smtp://"+m.host+":"+m.port+"/\" from=\""+m.from+"\" use_envelope_from=yes copy=no"+
			" charset=utf-8 send_charset=utf-8 ssl_starttls=no ssl_force_tls=no allow_8bit=yes\n")
		body := write(t, m.dir, "body", text)
		cmd := exec.Command("mutt", "-n", "-F", filepath.Join(m.dir, "muttrc"), "-s", "テスト", "-a", body, "--", m.to)
		return withInput(t, cmd, body)
	}},
	{name: "s-nail", program: "s-nail", pkg: "s-nail", send: func(t testing.TB, m mail) *exec.Cmd {
		cmd := exec.Command("s-nail", "-:/", "-Sv15-compat", "-Smta=smtp://"+m.host+":"+m.port, "-Ssmtp-auth=none", "-Snosave", "-SDEAD="+filepath.Join(m.dir, "dead"),
			"-Sfrom="+m.from, "-Sttycharset=utf-8", "-Ssendcharsets=utf-8", "-Smime-encoding=8b", "-s", "テスト", m.to)
		return withInput(t, cmd, write(t, m.dir, "body", text))
	}},
	{name: "curl", program: "curl", pkg: "curl", send: func(t testing.TB, m mail) *exec.Cmd {
		return exec.Command("curl", "--silent", "--show-error", "--url", "smtp://"+m.host+":"+m.port+"/laptop", "--crlf",
			"--user", m.login+":any", "--mail-from", m.from, "--mail-rcpt", m.to, "--upload-file", m.file)
	}},
	{name: "git-send-email", program: "git", pkg: "git and git-email", send: func(t testing.TB, m mail) *exec.Cmd {
		patch := "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n" +
			"From: Taro <" + m.from + ">\nDate: Mon, 2 Jan 2006 15:04:05 +0900\nSubject: [PATCH] door: open it\nMIME-Version: 1.0\n" +
			"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n" + text + "---\n door | 1 +\n"
		return exec.Command("git", "send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--no-validate", "--transfer-encoding=8bit",
			"--from="+m.from, "--envelope-sender="+m.from, "--to="+m.to, "--smtp-server="+m.host, "--smtp-server-port="+m.port,
			"--smtp-encryption=none", write(t, m.dir, "0001-door.patch", patch))
	}},
	{name: "smtplib", program: "python3", pkg: "python3", send: func(t testing.TB, m mail) *exec.Cmd {
		return exec.Command("python3", "-c", `import email.message, smtplib, sys
host, port, sender, recipient, body = sys.argv[1:]
m = email.message.EmailMessage()
m["From"], m["To"], m["Subject"] = sender, recipient, "テスト"
m.set_content(open(body, encoding="utf-8").read(), cte="8bit")
with smtplib.SMTP(host, int(port), timeout=60) as s:
    s.send_message(m)
`, m.host, m.port, m.from, m.to, write(t, m.dir, "body", text))
	}},
}

// write makes a file and returns its path.
func write(t testing.TB, dir, name, data string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withInput makes the command read the file.
func withInput(t testing.TB, cmd *exec.Cmd, name string) *exec.Cmd {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cmd.Stdin = f
	return cmd
}

// run lets the app send a message through Melon and returns what it sent.
func (a app) run(t testing.TB, m *melon, from, to, login string) []byte {
	t.Helper()
	if _, err := exec.LookPath(a.program); err != nil {
		t.Fatalf("%v: install the package %s (.ci/packages does)", err, a.pkg)
	}
	tap := startTap(t, m.addr)
	dir := t.TempDir()
	cmd := a.send(t, mail{
		host: "127.0.0.1", port: strconv.Itoa(tap.addr().Port), from: from, to: to, dir: dir, login: login,
		file: write(t, dir, "message", whole(from, to)),
	})
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
		"EMAIL=" + from, "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(dir), "TMPDIR=" + dir, "TERM=dumb"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s (package %s): %v\n%s", a.name, a.pkg, err, out)
	}
	return tap.message(t)
}
