package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/lab"
	"melon/upstream/network"
)

func pbs() lab.Options { return lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}}} }

// clear is a provider of the old days: neither TLS nor AUTH.
func clear(r lab.Rules) lab.Options {
	return lab.Options{Rules: r, SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}, POP: lab.POP{Without: []string{"STLS"}}}
}

// faultCase is a fault, the verdict for it, and the check that shows it.
type faultCase struct {
	lab   lab.Options
	spoil func(c *clinic)
	want  upstream.Class
	check string
	part  string
}

func runFaults(t *testing.T, cases map[string]faultCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			examine(t, tc.lab, func(c *clinic) {
				tc.spoil(c)
				r := c.want(tc.want)
				status := StatusFail
				if tc.check == "vpn" || strings.HasPrefix(tc.part, "1") {
					status = StatusWarn // no fault by itself
				}
				c.check(r, tc.check, status, tc.part)
			})
		})
	}
}

// TestNetworkFaults has a verdict for each fault of the network before a server is
// reached.
func TestNetworkFaults(t *testing.T) {
	runFaults(t, map[string]faultCase{
		"offline": {spoil: func(c *clinic) {
			c.net.SetDown(true)
			c.names.err = errors.New("network is unreachable")
			c.opts.Machine.Network = func() (network.State, error) { return network.State{}, nil }
		}, want: upstream.ClassOffline, check: "network"},
		"portal by redirect": {spoil: func(c *clinic) {
			c.net.Block(587, true)
			c.portal = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://login.hotel.example/start", http.StatusFound)
			}
		}, want: upstream.ClassCaptivePortal, check: "portal", part: "http://login.hotel.example/start"},
		"portal by page": {spoil: func(c *clinic) {
			c.net.Block(587, true)
			c.portal = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>Welcome to the hotel</html>") }
		}, want: upstream.ClassCaptivePortal, check: "portal"},
		"portal by status": {spoil: func(c *clinic) {
			c.net.Block(587, true)
			c.portal = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNetworkAuthenticationRequired) }
		}, want: upstream.ClassCaptivePortal, check: "portal"},
		"no DNS": {spoil: func(c *clinic) {
			c.names.hangs = true
		}, want: upstream.ClassDNSFailure, check: "dns-smtp", part: "did not answer"},
		"no such name": {spoil: func(c *clinic) {
			delete(c.names.known, "smtp.provider-a.example")
		}, want: upstream.ClassDNSFailure, check: "dns-smtp", part: "There is no server named"},
		"hijacked to a private address": {spoil: func(c *clinic) {
			c.names.known["smtp.provider-a.example"] = []string{"10.0.0.1"}
		}, want: upstream.ClassDNSHijacked, check: "dns-smtp", part: "10.0.0.1"},
		"hijacked to loopback": {spoil: func(c *clinic) {
			c.names.known["smtp.provider-a.example"] = []string{"127.0.0.1"}
		}, want: upstream.ClassDNSHijacked, check: "dns-smtp", part: "127.0.0.1"},
		"one address for every name": {spoil: func(c *clinic) {
			c.names.known, c.names.others = nil, []string{"203.0.113.9"}
		}, want: upstream.ClassDNSHijacked, check: "dns-honest", part: "203.0.113.9"},
	})
}

// TestPortFaults has a verdict for each fault of the way to the server's ports.
func TestPortFaults(t *testing.T) {
	runFaults(t, map[string]faultCase{
		"dropped port": {spoil: func(c *clinic) {
			c.net.Block(587, true)
		}, want: upstream.ClassPortBlocked, check: "smtp-587", part: "did not answer"},
		"refused port": {spoil: func(c *clinic) {
			c.opts.Account.SMTP.Port = 25
		}, want: upstream.ClassServerUnreachable, check: "smtp-25", part: "refuses connections"},
		"every port dropped": {spoil: func(c *clinic) {
			c.opts.Account.SMTP.Port = 0
			for _, p := range []int{25, 465, 587, 2525} {
				c.net.Block(p, true)
			}
		}, want: upstream.ClassPortBlocked, check: "smtp-2525"},
		"stripped": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseEHLO, Kind: lab.StripStartTLS}}},
			spoil: func(c *clinic) { c.opts.Known.SMTPTLS = true },
			want:  upstream.ClassStartTLSStripped, check: "starttls"},
		"stripped where it is demanded": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseEHLO, Kind: lab.StripStartTLS}}},
			spoil: func(c *clinic) { c.opts.Account.SMTP.Security = upstream.SecurityStartTLS },
			want:  upstream.ClassStartTLSStripped, check: "starttls"},
		"VPN that swallows": {spoil: func(c *clinic) {
			c.net.Block(587, true)
			c.opts.Machine.Route = func(netip.Addr) (Way, error) {
				return Way{Interface: "wg0", Local: netip.MustParseAddr("10.8.0.2"), Tunnel: true}, nil
			}
		}, want: upstream.ClassVPNRoute, check: "vpn", part: "wg0"},
		"injected before the handshake": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseStartTLS, Kind: lab.InjectStartTLS}}},
			spoil: func(c *clinic) {}, want: upstream.ClassSMTPIntercepted, check: "smtp-587"},
		"plain text on the TLS port": {lab: lab.Options{Faults: []lab.Fault{{Phase: lab.PhaseTLS, Kind: lab.PlainTLS}}},
			spoil: func(c *clinic) { c.opts.Account.SMTP.Port = 465 }, want: upstream.ClassSMTPIntercepted, check: "smtp-465"},
	})
}

// stranger is the hotel's own server on a port of the provider's address.
func stranger(c *clinic, addr, greeting, rcpt string) {
	c.listen(addr, func(conn net.Conn) {
		fmt.Fprintf(conn, "%s\r\n", greeting)
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			for _, line := range strings.Split(strings.TrimSpace(string(b[:n])), "\r\n") {
				answer := "250 ok"
				switch verb, _, _ := strings.Cut(line, " "); verb {
				case "RCPT":
					answer = rcpt
				case "QUIT":
					answer = "221 bye"
				}
				fmt.Fprintf(conn, "%s\r\n", answer)
			}
		}
	})
}

// TestBlottedOut is a firewall that writes over the keywords it does not like.
func TestBlottedOut(t *testing.T) {
	o := lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseEHLO, Kind: lab.WrongReply,
		Text: "250-mail.provider-a.example\n250-PIPELINING\n250 XXXXXXXA"}}}
	examine(t, o, func(c *clinic) {
		r := c.want(upstream.ClassStartTLSStripped)
		c.check(r, "starttls", StatusFail, "taken it away")
	})
}

// TestIntercepted is a port that leads to somebody else's server.
func TestIntercepted(t *testing.T) {
	for name, rcpt := range map[string]string{
		"that refuses": "550 5.7.1 Relaying denied", "that takes everything": "250 ok",
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, pbs(), func(c *clinic) {
				c.opts.Account.SMTP.Port = 25
				stranger(c, provider4+":25", "220 mail.hotel.example ESMTP", rcpt)
				r := c.want(upstream.ClassSMTPIntercepted)
				c.check(r, "identity", StatusFail, "mail.hotel.example")
				c.check(r, "login-smtp", StatusSkip, "stranger")
				if s := c.provider.Stats(); s.POPLogins > 0 {
					t.Error("a password was sent")
				}
				if !strings.Contains(r.Advice[0], "465") {
					t.Errorf("advice %q does not begin with the port that works", r.Advice)
				}
			})
		})
	}
	t.Run("with a certificate of his own", func(t *testing.T) {
		examine(t, lab.Options{Cert: lab.CertForeignName, SMTP: lab.SMTP{Hostname: "mail.hotel.example"}}, func(c *clinic) {
			r := c.want(upstream.ClassSMTPIntercepted)
			c.check(r, "certificate", StatusFail, "other.example")
		})
	})
	t.Run("a false SCRAM signature", func(t *testing.T) {
		examine(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"SCRAM-SHA-256", "PLAIN"}, FalseSignature: true}}, func(c *clinic) {
			r := c.want(upstream.ClassSMTPIntercepted)
			c.check(r, "login-smtp", StatusFail, "")
		})
	})
}

// TestNoStranger is a server with another's name that is the provider's all the
// same.
func TestNoStranger(t *testing.T) {
	moved := clear(lab.Rules{Open: true})
	moved.SMTP.Hostname = "mx7.hosting.example"
	for name, vouch := range map[string]func(c *clinic){
		"the name leads to the address": func(c *clinic) { c.names.known["mx7.hosting.example"] = []string{provider4} },
		"the address has the name": func(c *clinic) {
			c.names.reverse = map[string][]string{provider4: {"mail.hosting.example."}}
		},
		"the server's name is given": func(c *clinic) { c.opts.Account.Trust.ServerName = "mail.hosting.example" },
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, moved, func(c *clinic) {
				c.opts.Account.AllowPlaintext, c.opts.Account.Auth = true, upstream.AuthNone
				vouch(c)
				r := c.want(upstream.ClassOK)
				c.check(r, "identity", StatusOK, "mx7.hosting.example")
			})
		})
	}
}

// TestCertificates has a verdict for each fault of a certificate, and for a clock
// that makes a good one look bad.
func TestCertificates(t *testing.T) {
	far := func(c *clinic, d time.Duration) { c.opts.Now = func() time.Time { return c.now().Add(d) } }
	untold := func(c *clinic) { c.opts.Probe.URL = "off" }
	for name, tc := range map[string]struct {
		kind  lab.CertKind
		clock func(c *clinic)
		want  upstream.Class
		part  string
	}{
		"expired":                         {kind: lab.CertExpired, want: upstream.ClassCertificateInvalid, part: "expired on"},
		"expired, nobody tells the time":  {kind: lab.CertExpired, clock: untold, want: upstream.ClassCertificateInvalid, part: "expired on"},
		"foreign name":                    {kind: lab.CertForeignName, want: upstream.ClassCertificateInvalid, part: "another server (other.example)"},
		"self-signed":                     {kind: lab.CertSelfSigned, want: upstream.ClassCertificateInvalid, part: "self-signed"},
		"unknown authority":               {kind: lab.CertOtherCA, want: upstream.ClassCertificateInvalid, part: "does not trust"},
		"not yet valid, the clock right":  {kind: lab.CertNotYet, want: upstream.ClassCertificateInvalid},
		"not yet valid, nobody tells":     {kind: lab.CertNotYet, clock: untold, want: upstream.ClassClockWrong},
		"clock three years slow":          {clock: func(c *clinic) { far(c, -3*365*24*time.Hour) }, want: upstream.ClassClockWrong},
		"clock two years fast":            {clock: func(c *clinic) { far(c, 2*365*24*time.Hour) }, want: upstream.ClassClockWrong, part: "expired"},
		"clock slow and nobody tells":     {clock: func(c *clinic) { far(c, -24*365*24*time.Hour); untold(c) }, want: upstream.ClassClockWrong},
		"clock an hour fast, and expired": {kind: lab.CertExpired, clock: func(c *clinic) { far(c, time.Hour) }, want: upstream.ClassCertificateInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, lab.Options{Cert: tc.kind}, func(c *clinic) {
				if tc.clock != nil {
					tc.clock(c)
				}
				r := c.want(tc.want)
				c.check(r, "certificate", StatusFail, tc.part)
				if tc.want == upstream.ClassClockWrong {
					c.check(r, "clock", StatusFail, "")
				}
			})
		})
	}
}

// TestClockAlone is a clock that is wrong and harms nothing.
func TestClockAlone(t *testing.T) {
	examine(t, lab.Options{}, func(c *clinic) {
		c.opts.Now = func() time.Time { return c.now().Add(30 * time.Minute) }
		r := c.want(upstream.ClassOK)
		c.check(r, "clock", StatusWarn, "30 minutes fast")
	})
}

// TestClockByGreeting has the time from the server's greeting alone.
func TestClockByGreeting(t *testing.T) {
	greeting := "mail.provider-a.example ESMTP; " + today.Format(time.RFC1123Z)
	examine(t, lab.Options{SMTP: lab.SMTP{GreetingText: greeting}}, func(c *clinic) {
		c.opts.Probe.URL = "off"
		c.opts.Now = func() time.Time { return c.now().Add(-2 * 365 * 24 * time.Hour) }
		r := c.want(upstream.ClassClockWrong)
		c.check(r, "clock", StatusFail, "smtp.provider-a.example it is 730 days slow")
		if !strings.Contains(r.Advice[0], "730 days slow") {
			t.Errorf("advice %q", r.Advice)
		}
	})
}

// oneSecret is the same for every reference.
type oneSecret string

func (s oneSecret) Get(context.Context, upstream.SecretRef) (string, error) { return string(s), nil }

// TestServerFaults has a verdict for what the provider's servers do.
func TestServerFaults(t *testing.T) {
	wrong := func(c *clinic) { c.opts.Secrets = oneSecret("another") }
	for name, tc := range map[string]struct {
		lab   lab.Options
		setup func(c *clinic)
		want  upstream.Class
		check string
		part  string
	}{
		"no SMTP at all": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseConnect, Kind: lab.Garbage, Text: "SSH-2.0-OpenSSH_9.6"}}},
			want: upstream.ClassServerBroken, check: "smtp-587", part: "SSH-2.0"},
		"hangs up": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseConnect, Kind: lab.Drop, Proto: lab.SMTPProto}}},
			want: upstream.ClassServerBroken, check: "smtp-587"},
		"silence instead of a greeting": {lab: lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseConnect, Kind: lab.Stall}}},
			want: upstream.ClassServerUnreachable, check: "smtp-587"},
		"wrong password": {setup: wrong, want: upstream.ClassCredentialsRejected, check: "login-smtp", part: "535"},
		"wrong POP password": {lab: pbs(), setup: wrong,
			want: upstream.ClassPOPCredentialsRejected, check: "login-pop", part: "-ERR"},
		"basic login switched off": {lab: lab.Options{SMTP: lab.SMTP{BasicDisabled: true}},
			want: upstream.ClassAppPasswordOrOAuthRequired, check: "login-smtp"},
		"locked mailbox": {lab: pbs(), setup: func(c *clinic) {
			c.t.Cleanup(c.provider.LockMailbox(lab.DefaultUser.Name))
		}, want: upstream.ClassPOPMailboxInUse, check: "login-pop"},
		"POP port dropped, POP needed": {lab: pbs(), setup: func(c *clinic) { c.net.Block(110, true) },
			want: upstream.ClassPortBlocked, check: "login-pop"},
		"by POP login, account without POP": {lab: clear(lab.Rules{PBS: lab.PBS{Window: time.Minute}}), setup: func(c *clinic) {
			c.opts.Account.POP, c.opts.Account.Auth = upstream.POPServer{}, upstream.AuthAuto
		}, want: upstream.ClassPOPBeforeSMTPRequired, check: "relay", part: "550"},
		"by address, account without POP": {lab: clear(lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}), setup: func(c *clinic) {
			c.opts.Account.POP, c.opts.Account.Auth = upstream.POPServer{}, upstream.AuthAuto
		}, want: upstream.ClassRelayDeniedIP, check: "relay", part: "550"},
		"by address, login by POP in vain": {lab: clear(lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}),
			want: upstream.ClassRelayDeniedIP, check: "relay", part: "The POP login did not open the relay."},
		"by sender's domain": {lab: lab.Options{Rules: lab.Rules{Auth: true, Senders: []string{"other.example"}}},
			want: upstream.ClassSenderDomainRestricted, check: "relay"},
		"login wanted, none made": {lab: lab.Options{}, setup: func(c *clinic) {
			c.opts.Account.POP, c.opts.Account.Auth = upstream.POPServer{}, upstream.AuthNone
		}, want: upstream.ClassAuthRequired, check: "relay"},
		"password in the clear": {lab: lab.Options{SMTP: lab.SMTP{Without: []string{"STARTTLS"}, AuthPlaintext: true}}, setup: func(c *clinic) {
			c.opts.Account.POP, c.opts.Account.AllowPlaintext = upstream.POPServer{}, false
		}, want: upstream.ClassTLSRequired, check: "login-smtp"},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, tc.lab, func(c *clinic) {
				if tc.setup != nil {
					tc.setup(c)
				}
				r := c.want(tc.want)
				c.check(r, tc.check, StatusFail, tc.part)
				if s := c.provider.Stats(); s.AuthFailures+s.POPFailures > 1 && tc.want != upstream.ClassPOPMailboxInUse {
					t.Errorf("%d and %d refused logins: one is enough", s.AuthFailures, s.POPFailures)
				}
				last := r.Advice[len(r.Advice)-1]
				if !strings.Contains(last, "webmail") && tc.want != upstream.ClassAccountDisabledOrLocked {
					t.Errorf("the last resort is missing: %q", r.Advice)
				}
			})
		})
	}
}

// TestOpenAfterAll is what looks like a refusal and is none.
func TestOpenAfterAll(t *testing.T) {
	slow := pbs()
	slow.Rules.PBS.Settle = 2 * time.Second
	held := pbs()
	held.Rules.PBS.Hold = true
	for name, tc := range map[string]struct {
		lab   lab.Options
		setup func(c *clinic)
		part  string
	}{
		"recipient unknown":         {lab: lab.Options{Rules: lab.Rules{Auth: true, Unknown: []string{DefaultOutside}}}, part: "550"},
		"greylisted":                {lab: lab.Options{Rules: lab.Rules{Auth: true, Greylist: time.Minute}}, part: "450"},
		"relay opened by the login": {lab: clear(lab.Rules{PBS: lab.PBS{Window: time.Minute}}), setup: func(c *clinic) { c.opts.Account.Auth = upstream.AuthAuto }, part: "The relay opened after the POP login"},
		"relay opened late":         {lab: slow, part: "The relay opened after the POP login"},
		"relay opened while held":   {lab: held, part: "relay is open"},
		"list looked at on connect": {lab: lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}, Check: lab.CheckConnect}}, part: "relay is open"},
		"refused at the greeting":   {lab: lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}, Check: lab.CheckBanner}}, part: "relay is open"},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, tc.lab, func(c *clinic) {
				if tc.setup != nil {
					tc.setup(c)
				}
				r := c.want(upstream.ClassOK)
				c.check(r, "relay", StatusOK, tc.part)
			})
		})
	}
}

// TestVPNSplit is a VPN that takes POP and leaves SMTP: the login opens the relay
// for an address that nothing is sent from.
func TestVPNSplit(t *testing.T) {
	examine(t, pbs(), func(c *clinic) {
		c.names.known["pop.provider-a.example"] = []string{"198.51.100.110"}
		if _, err := c.provider.Listen("pop", "198.51.100.110:110"); err != nil {
			t.Fatal(err)
		}
		c.provider.SetPublic(lab.POPProto, netip.MustParseAddr("203.0.113.200"))
		c.opts.Machine.Route = func(to netip.Addr) (Way, error) {
			if to.String() == provider4 {
				return Way{Interface: "wlan0", Local: netip.MustParseAddr(laptop4)}, nil
			}
			return Way{Interface: "tun0", Local: netip.MustParseAddr("10.8.0.2"), Tunnel: true}, nil
		}
		r := c.want(upstream.ClassVPNRoute)
		c.check(r, "vpn", StatusWarn, "POP leaves by tun0 (10.8.0.2) and SMTP by wlan0")
		if !strings.Contains(r.Advice[0], "tun0") {
			t.Errorf("advice %q", r.Advice)
		}
	})
}

// TestOneFamily has SMTP on both families and POP on IPv6 alone.
func TestOneFamily(t *testing.T) {
	o := pbs()
	o.Hosts, o.POPHosts = []string{provider4, provider6}, []string{provider6}
	examine(t, o, func(c *clinic) {
		c.names.known["smtp.provider-a.example"] = []string{provider4, provider6}
		c.names.known["pop.provider-a.example"] = []string{provider6}
		r := c.want(upstream.ClassOK)
		c.check(r, "same-address", StatusOK, laptop6)
	})
}

// TestAttention makes no login to an account whose password was refused, unless
// asked.
func TestAttention(t *testing.T) {
	for _, force := range []bool{false, true} {
		t.Run(fmt.Sprint("force ", force), func(t *testing.T) {
			examine(t, lab.Options{}, func(c *clinic) {
				c.opts.Attention = &upstream.Error{Class: upstream.ClassCredentialsRejected, Reply: upstream.Reply{Code: 535}}
				c.opts.Force = force
				if force {
					c.want(upstream.ClassOK)
					return
				}
				r := c.want(upstream.ClassCredentialsRejected)
				c.check(r, "login-smtp", StatusSkip, "refused before")
				c.check(r, "smtp-587", StatusOK, "")
				if s := c.provider.Stats(); s.Auths+s.POPLogins+s.POPFailures > 0 {
					t.Errorf("logins were made: %+v", s)
				}
			})
		})
	}
}

// TestMissingSecret names a secret that is not there, though no login is made.
func TestMissingSecret(t *testing.T) {
	examine(t, lab.Options{}, func(c *clinic) {
		c.opts.Attention = &upstream.Error{Class: upstream.ClassCredentialsRejected}
		c.opts.Secrets = &auth.Secrets{LookupEnv: func(string) (string, bool) { return "", false }}
		r := c.want(upstream.ClassCredentialsRejected)
		c.check(r, "login-smtp", StatusFail, "environment")
	})
}

// TestAnnounced is a portal that DHCP announces (RFC 8910) and that says what is
// needed (RFC 8908).
func TestAnnounced(t *testing.T) {
	for captive, want := range map[bool]upstream.Class{true: upstream.ClassCaptivePortal, false: upstream.ClassOK} {
		t.Run(fmt.Sprint(captive), func(t *testing.T) {
			examine(t, lab.Options{}, func(c *clinic) {
				if captive {
					c.net.Block(587, true)
				}
				c.opts.Probe.URL = "off"
				c.opts.Machine.Files = fstest.MapFS{"run/systemd/netif/leases/3": {Data: []byte(
					"ADDRESS=192.0.2.77\nCAPTIVE_PORTAL=http://portal.hotel.example/api\n")}}
				c.names.known["portal.hotel.example"] = []string{probeAddr}
				c.portal = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/captive+json")
					fmt.Fprintf(w, `{"captive": %v, "user-portal-url": "https://portal.hotel.example/sign-in"}`, captive)
				}
				r := c.want(want)
				if captive {
					c.check(r, "portal-option", StatusFail, "https://portal.hotel.example/sign-in")
				} else {
					c.check(r, "portal-option", StatusOK, "")
				}
			})
		})
	}
}
