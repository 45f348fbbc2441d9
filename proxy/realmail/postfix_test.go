//go:build realmail

package realmail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The accounts of accounts, in numbers.
const (
	postfixUID  = 110
	postdropGID = 120
	vmailUID    = 5000
)

// mainCF is the provider's main.cf. Mail for any domain is "relayed" into one
// Maildir by default_transport; whether a client may send it there is decided
// by smtpd_relay_restrictions alone, as nothing is local and no network is
// trusted. local_header_rewrite_clients is empty, as for any client from
// outside: the header stays as it is.
const mainCF = `compatibility_level = 3.6
maillog_file = /var/log/mail.log
myhostname = mail.%[1]s
mydestination =
mynetworks =
inet_protocols = ipv4
smtpd_peername_lookup = no
local_header_rewrite_clients =
alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = %[2]s, reject_unauth_destination
default_transport = virtual:
virtual_mailbox_domains =
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_mailbox_limit = 0
message_size_limit = 104857600
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_auth_enable = %[3]s
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = %[4]s
smtpd_tls_auth_only = %[5]s
smtpd_tls_chain_files = /etc/ssl/key.pem, /etc/ssl/cert.pem
smtpd_tls_loglevel = 1
tls_random_source =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
`

// masterCF is Debian's, with the services that this provider uses and without
// their chroot, as all of it is in one.
const masterCF = `
%[1]s:%[2]d inet n - n - - smtpd
%[1]s:%[3]d inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pbs unix - n n - 0 spawn user=vmail argv=/usr/local/bin/pbs-policy
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix configures and starts Postfix in the provider's root directory,
// and waits until it listens.
func (p *provider) startPostfix(t testing.TB, o providerOptions) {
	t.Helper()
	yesNo := map[bool]string{true: "yes", false: "no"}
	relay, tls := "permit_sasl_authenticated", "may"
	if o.pbs {
		relay = "check_policy_service unix:private/pbs"
	}
	if o.noTLS {
		tls = "none"
	}
	p.write(t, "etc/postfix/main.cf", 0o644, fmt.Sprintf(mainCF, p.domain, relay, yesNo[!o.pbs], tls, yesNo[o.authOnlyTLS]))
	p.write(t, "etc/postfix/master.cf", 0o644, fmt.Sprintf(masterCF, p.host, p.smtp, p.smtps))
	if err := os.Link(filepath.Join(p.root, "usr/share/postfix/dynamicmaps.cf"), filepath.Join(p.root, "etc/postfix/dynamicmaps.cf")); err != nil {
		t.Fatal(err)
	}
	p.postfixDirectories(t)
	cmd := exec.Command("/usr/lib/postfix/sbin/master", "-s")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	p.mkdir(t, "var/log", 0, 0, 0o755)
	log := newJournal()
	log.drain(t, filepath.Join(p.root, "var/log/mail.log"))
	p.postfix = startDaemon(t, "postfix of "+p.domain, cmd, log)
	p.postfix.waitFor(t, "daemon started")
}

// postfixDirectories makes the queue as Debian's package does.
func (p *provider) postfixDirectories(t testing.TB) {
	t.Helper()
	p.mkdir(t, "var/spool/postfix", 0, 0, 0o755)
	p.mkdir(t, "var/spool/postfix/pid", 0, 0, 0o755)
	p.mkdir(t, "var/lib/postfix", postfixUID, postfixUID, 0o755)
	for d := range strings.FieldsSeq("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		p.mkdir(t, "var/spool/postfix/"+d, postfixUID, 0, 0o700)
	}
	p.mkdir(t, "var/spool/postfix/maildrop", postfixUID, postdropGID, 0o1730)
	p.mkdir(t, "var/spool/postfix/public", postfixUID, postdropGID, 0o2710)
	p.mkdir(t, "var/mail/all", vmailUID, vmailUID, 0o755)
	for d := range strings.FieldsSeq("cur new tmp") {
		p.mkdir(t, "var/mail/all/"+d, vmailUID, vmailUID, 0o755)
	}
}
