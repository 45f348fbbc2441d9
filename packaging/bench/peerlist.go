//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"melon/upstream/lab"
)

// postfix is Postfix as a satellite: Debian's settings, with the relay host.
func postfix() *peer {
	return &peer{
		name: "Postfix", packages: []string{"postfix", "libsasl2-modules"},
		serve: []string{"/usr/lib/postfix/sbin/master", "-s"},
		setUp: func(s *site) error {
			main := fmt.Sprintf(`compatibility_level = 3.6
maillog_file = /var/log/mail.log
myhostname = laptop.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = %s
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
relayhost = [%s]:%d
message_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtp_tls_session_cache_database = btree:/var/lib/postfix/smtp_scache
`, s.host, s.hop.host, s.hop.port)
			if s.hop.auth {
				main += "smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\nsmtp_sasl_auth_enable = yes\n" +
					"smtp_sasl_password_maps = static:" + lab.DefaultUser.Name + ":" + lab.DefaultUser.Password + "\n" +
					"smtp_sasl_security_options = noanonymous\n"
			}
			if s.keep {
				main += "defer_transports = smtp, relay\n"
			}
			err := errors.Join(
				s.write("etc/postfix/main.cf", 0o644, main),
				s.write("etc/postfix/master.cf", 0o644, strings.ReplaceAll(postfixServices, "ADDRESS", fmt.Sprintf("%s:%d", s.host, s.port))),
				s.write("etc/postfix/dynamicmaps.cf", 0o644, ""),
				s.mkdir("var/spool/postfix", 0, 0, 0o755),
				s.mkdir("var/spool/postfix/pid", 0, 0, 0o755),
				s.mkdir("var/lib/postfix", 110, 110, 0o755),
				s.mkdir("var/spool/postfix/maildrop", 110, 120, 0o1730),
				s.mkdir("var/spool/postfix/public", 110, 120, 0o2710))
			for d := range strings.FieldsSeq("active bounce corrupt defer deferred flush hold incoming private saved trace") {
				err = errors.Join(err, s.mkdir("var/spool/postfix/"+d, 110, 0, 0o700))
			}
			return err
		},
	}
}

// postfixServices is Debian's master.cf with what a satellite uses, without
// chroot, as all of it is in one.
const postfixServices = `
ADDRESS inet n - n - - smtpd
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
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// exim is Exim with a smarthost.
func exim() *peer {
	return &peer{
		name: "Exim", packages: []string{"exim4-daemon-light", "exim4-base"},
		serve: []string{"/usr/sbin/exim4", "-C", "/etc/exim4/bench.conf", "-bdf", "-q30m"},
		setUp: func(s *site) error {
			transport := "  driver = smtp\n"
			authenticators := ""
			if s.hop.auth {
				transport += "  protocol = smtps\n  hosts_require_auth = *\n  hosts_require_tls = *\n  tls_verify_hosts =\n  tls_try_verify_hosts =\n"
				authenticators = fmt.Sprintf("begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^%s^%s\n",
					lab.DefaultUser.Name, lab.DefaultUser.Password)
			}
			acl := "accept"
			if s.keep {
				acl = "accept control = queue"
			}
			conf := fmt.Sprintf(`primary_hostname = laptop.example
daemon_smtp_ports = %d
local_interfaces = <; %s
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%%slog
keep_environment =
tls_advertise_hosts =
never_users =
message_size_limit = 0
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = ok
acl_smtp_data = ok
begin acl
ok:
  %s
begin routers
smart:
  driver = manualroute
  transport = out
  route_list = * %s::%d
  self = send
begin transports
out:
%s
begin retry
* * F,2h,1m
%s`, s.port, s.host, acl, s.hop.host, s.hop.port, transport, authenticators)
			return errors.Join(
				s.write("etc/exim4/bench.conf", 0o644, conf),
				s.mkdir("etc/exim4", 0, 0, 0o755),
				s.mkdir("run/exim4", 112, 112, 0o755),
				s.mkdir("var/log/exim4", 112, 112, 0o755),
				s.mkdir("var/spool/exim4", 112, 112, 0o750))
		},
	}
}

// opensmtpd is OpenSMTPD with a relay host.
func opensmtpd() *peer {
	return &peer{
		name: "OpenSMTPD", packages: []string{"opensmtpd"},
		serve: []string{"/usr/sbin/smtpd", "-d"},
		setUp: func(s *site) error {
			to := fmt.Sprintf("smtp+notls://%s:%d", s.hop.host, s.hop.port)
			if s.hop.auth {
				to = fmt.Sprintf("smtps://lab@%s:%d", s.hop.host, s.hop.port)
			}
			relay := fmt.Sprintf("relay host %q", to)
			if s.hop.auth {
				relay += " auth <secrets> tls no-verify"
			}
			conf := fmt.Sprintf("table secrets { lab = %q }\nsmtp max-message-size 200M\nlisten on %s port %d hostname laptop.example\naction out %s\nmatch from any for any action out\n",
				lab.DefaultUser.Name+":"+lab.DefaultUser.Password, s.host, s.port, relay)
			err := errors.Join(
				s.write("etc/smtpd.conf", 0o644, conf),
				s.mkdir("var/lib/opensmtpd/empty", 0, 0, 0o711),
				s.mkdir("run/smtpd", 0, 0, 0o711),
				s.mkdir("var/spool/smtpd", 0, 0, 0o711),
				s.mkdir("var/spool/smtpd/offline", 0, 114, 0o770))
			for d := range strings.FieldsSeq("corrupt incoming message purge queue temporary") {
				err = errors.Join(err, s.mkdir("var/spool/smtpd/"+d, 114, 0, 0o700))
			}
			return err
		},
	}
}

// msmtp sends directly and ends with the provider's verdict.
func msmtp() *peer {
	return &peer{
		name: "msmtp", packages: []string{"msmtp"}, verdict: true,
		setUp: func(s *site) error {
			conf := fmt.Sprintf("account default\nhost %s\nport %d\nfrom %s\ndomain laptop.example\n", s.hop.host, s.hop.port, sender)
			if s.hop.auth {
				conf += fmt.Sprintf("tls on\ntls_starttls off\ntls_certcheck off\nauth plain\nuser %s\npassword %s\n", lab.DefaultUser.Name, lab.DefaultUser.Password)
			}
			return s.write("etc/msmtprc", 0o600, conf)
		},
		hand: func(ctx context.Context, s *site, body []byte) error {
			return s.pipe("/usr/bin/msmtp", body, "-C", "/etc/msmtprc", recipient)
		},
	}
}

// nullmailer queues, and a daemon sends.
func nullmailer() *peer {
	return &peer{
		name: "nullmailer", packages: []string{"nullmailer"},
		serve: []string{"/usr/sbin/nullmailer-send"},
		setUp: func(s *site) error {
			remote := fmt.Sprintf("%s smtp --port=%d", s.hop.host, s.hop.port)
			if s.hop.auth {
				remote += fmt.Sprintf(" --ssl --insecure --auth-login --user=%s --pass=%s", lab.DefaultUser.Name, lab.DefaultUser.Password)
			}
			err := errors.Join(
				s.write("etc/nullmailer/remotes", 0o600, remote+"\n"),
				s.write("etc/nullmailer/me", 0o644, "laptop.example\n"),
				s.write("etc/nullmailer/defaultdomain", 0o644, "laptop.example\n"),
				s.mkdir("etc/nullmailer", 8, 8, 0o755),
				s.mkdir("var/spool/nullmailer", 8, 8, 0o755))
			for d := range strings.FieldsSeq("queue tmp failed") {
				err = errors.Join(err, s.mkdir("var/spool/nullmailer/"+d, 8, 8, 0o700))
			}
			fifo := filepath.Join(s.root, "var/spool/nullmailer/trigger")
			return errors.Join(err, mkfifo(fifo), os.Chown(fifo, 8, 8), os.Chown(filepath.Join(s.root, "etc/nullmailer/remotes"), 8, 8))
		},
		hand: func(ctx context.Context, s *site, body []byte) error {
			return s.pipe("/usr/bin/nullmailer-inject", body, "-f", sender, "-a", recipient)
		},
	}
}

// pipe runs a command inside with a message, with the line ends of files, as its
// input.
func (s *site) pipe(name string, body []byte, args ...string) error {
	cmd, said := s.command(name, args...)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(string(body), "\r\n", "\n"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, lastLine(said.String()))
	}
	return nil
}

// describe says which peers took part, in which version.
func (p *peer) describe() string {
	if p.absent != "" {
		return p.name + " (absent: " + p.absent + ")"
	}
	return p.name + " " + strconv.Quote(p.version)
}
