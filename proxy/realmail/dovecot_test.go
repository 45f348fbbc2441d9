//go:build realmail

package realmail

import (
	"cmp"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// password is the password of every account at the provider.
const password = "himitsu 99%"

// dovecotSettings is what goes into the templates below, in either language.
type dovecotSettings struct {
	Host       string
	POP, POPS  int
	TLS        bool
	Cleartext  bool // a password may come in clear
	Mechanisms string
	Tokens     string // URL of the token service, "" for none
}

// dovecot23 is the provider's dovecot.conf in the language of Dovecot 2.3.
const dovecot23 = `log_path = /dev/stderr
protocols = pop3
listen = {{.Host}}
ssl = {{if .TLS}}yes{{else}}no{{end}}
ssl_cert = </etc/ssl/cert.pem
ssl_key = </etc/ssl/key.pem
disable_plaintext_auth = {{if .Cleartext}}no{{else}}yes{{end}}
auth_mechanisms = {{.Mechanisms}}
auth_verbose = yes
auth_failure_delay = 0
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}
{{if .Tokens}}passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}{{end}}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/mail/users/%u mech=%m
}
` + dovecotServices

// oauth23 is its oauth2.conf: Dovecot asks the token service who the bearer is.
const oauth23 = `introspection_mode = auth
introspection_url = {{.Tokens}}
username_attribute = email
active_attribute = active
active_value = yes
`

// dovecot24 is the same in the language of Dovecot 2.4.
const dovecot24 = `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
log_path = /dev/stderr
protocols {
  pop3 = yes
}
listen = {{.Host}}
ssl = {{if .TLS}}yes{{else}}no{{end}}
ssl_server_cert_file = /etc/ssl/cert.pem
ssl_server_key_file = /etc/ssl/key.pem
auth_allow_cleartext = {{if .Cleartext}}yes{{else}}no{{end}}
auth_mechanisms = {{.Mechanisms}}
auth_verbose = yes
auth_failure_delay = 0
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {
  default_password_scheme = plain
  passwd_file_path = /etc/dovecot/users
}
{{if .Tokens}}oauth2 {
  introspection_mode = auth
  introspection_url = {{.Tokens}}
  username_attribute = email
  active_attribute = active
  active_value = yes
}
passdb oauth2 {
  mechanisms_filter = xoauth2 oauthbearer
}{{end}}
userdb static {
  fields {
    uid = vmail
    gid = vmail
    home = /var/mail/users/%{user}
    mech = %{mechanism}
  }
}
` + dovecotServices

// dovecotServices is in both languages; pop3-postlogin and the socket for
// Postfix are as Dovecot's documentation has them.
const dovecotServices = `first_valid_uid = 1
service pop3-login {
  inet_listener pop3 {
    port = {{.POP}}
  }
  inet_listener pop3s {
    port = {{.POPS}}
    ssl = yes
  }
}
service pop3 {
  executable = pop3 pop3-postlogin
}
service pop3-postlogin {
  executable = script-login /usr/local/bin/pbs-note
  user = vmail
  unix_listener pop3-postlogin {
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`

// passwordMechanisms are all that Dovecot has for a password; APOP is POP3's.
const passwordMechanisms = "plain login cram-md5 scram-sha-1 scram-sha-256 apop"

// writeDovecot writes the configuration in the language of this Dovecot.
func (p *provider) writeDovecot(t testing.TB, d dovecotSettings) {
	t.Helper()
	cmd := exec.Command("/usr/sbin/dovecot", "--version")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	version, err := cmd.Output()
	if err != nil {
		t.Fatalf("dovecot --version: %v", err)
	}
	files := map[string]string{"etc/dovecot/dovecot.conf": dovecot23, "etc/dovecot/oauth2.conf": oauth23}
	if !strings.HasPrefix(string(version), "2.3.") {
		files = map[string]string{"etc/dovecot/dovecot.conf": dovecot24}
	}
	for name, text := range files {
		var b strings.Builder
		if err := template.Must(template.New(name).Parse(text)).Execute(&b, d); err != nil {
			t.Fatal(err)
		}
		p.write(t, name, 0o644, b.String())
	}
}

// startDovecot configures and starts Dovecot in the provider's root directory,
// and waits until it serves. Postfix's queue directory must be there.
func (p *provider) startDovecot(t testing.TB, o providerOptions) {
	t.Helper()
	d := dovecotSettings{
		Host: p.host, POP: p.pop, POPS: p.pops, TLS: !o.noTLS, Cleartext: !o.authOnlyTLS,
		Mechanisms: cmp.Or(o.mechanisms, passwordMechanisms), Tokens: o.tokens,
	}
	if o.tokens != "" {
		d.Mechanisms += " xoauth2 oauthbearer"
	}
	p.writeDovecot(t, d)
	var users strings.Builder
	for _, u := range p.users {
		fmt.Fprintf(&users, "%s:%s::::::\n", u, password)
	}
	p.write(t, "etc/dovecot/users", 0o644, users.String())
	p.mkdir(t, "var/mail/users", vmailUID, vmailUID, 0o755)
	p.mkdir(t, "var/lib/dovecot", 0, 0, 0o755)
	cmd := exec.Command("/usr/sbin/dovecot", "-F")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	p.dovecot = startDaemon(t, "dovecot of "+p.domain, cmd, newJournal())
	p.dovecot.waitFor(t, "starting up for pop3")
}
