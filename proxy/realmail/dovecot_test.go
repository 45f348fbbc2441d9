//go:build realmail

package realmail

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// password is the password of every account at the provider.
const password = "himitsu 99%"

// dovecotConf is the provider's dovecot.conf (Dovecot 2.3). pop3-postlogin and
// the socket for Postfix are as Dovecot's documentation has them.
const dovecotConf = `log_path = /dev/stderr
protocols = pop3
listen = %[1]s
ssl = %[7]s
ssl_cert = </etc/ssl/cert.pem
ssl_key = </etc/ssl/key.pem
disable_plaintext_auth = %[4]s
auth_mechanisms = %[5]s
auth_verbose = yes
auth_failure_delay = 0
mail_location = maildir:~/Maildir
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u /etc/dovecot/users
}
%[6]s
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/mail/users/%%u
}
service pop3-login {
  inet_listener pop3 {
    port = %[2]d
  }
  inet_listener pop3s {
    port = %[3]d
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

// oauthConf makes Dovecot ask a token service who the bearer of a token is.
const oauthConf = `
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}`

// passwordMechanisms are all that Dovecot has for a password; APOP is POP3's.
const passwordMechanisms = "plain login cram-md5 scram-sha-1 scram-sha-256 apop"

// startDovecot configures and starts Dovecot in the provider's root directory,
// and waits until it serves. Postfix's queue directory must be there.
func (p *provider) startDovecot(t testing.TB, o providerOptions) {
	t.Helper()
	mechanisms, oauth := passwordMechanisms, ""
	if o.mechanisms != "" {
		mechanisms = o.mechanisms
	}
	if o.tokens != "" {
		mechanisms, oauth = mechanisms+" xoauth2 oauthbearer", oauthConf
		p.write(t, "etc/dovecot/oauth2.conf", 0o644, "tokeninfo_url = "+o.tokens+"?access_token=\nusername_attribute = email\nactive_attribute = active\nactive_value = yes\n")
	}
	yesNo := map[bool]string{true: "yes", false: "no"}
	p.write(t, "etc/dovecot/dovecot.conf", 0o644,
		fmt.Sprintf(dovecotConf, p.host, p.pop, p.pops, yesNo[o.authOnlyTLS], mechanisms, oauth, yesNo[!o.noTLS]))
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
