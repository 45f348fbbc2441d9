package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"melon/upstream"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []string{"LOGIN", "PLAIN", "cram-md5", "SCRAM-SHA-1", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256", "EXTERNAL", "GSSAPI"}
	tests := []struct {
		name    string
		method  upstream.AuthMethod
		offered []string
		c       Conditions
		want    []Mechanism
	}{
		{"auto, strongest first", "auto", all, Conditions{TLS: true}, []Mechanism{SCRAMSHA256, SCRAMSHA1, CRAMMD5, Plain, Login}},
		{"the zero method is auto", "", []string{"LOGIN", "PLAIN"}, Conditions{TLS: true}, []Mechanism{Plain, Login}},
		{"auto with oauth takes no password", "auto", all, Conditions{TLS: true, HaveToken: true}, []Mechanism{OAuthBearer, XOAUTH2}},
		{"auto with a client certificate", "auto", all, Conditions{TLS: true, ClientCert: true}, []Mechanism{External, SCRAMSHA256, SCRAMSHA1, CRAMMD5, Plain, Login}},
		{"auto, refused ones left out", "auto", all, Conditions{TLS: true, Avoid: []Mechanism{SCRAMSHA256, CRAMMD5}}, []Mechanism{SCRAMSHA1, Plain, Login}},
		{"auto, nothing offered: as it is", "auto", nil, Conditions{}, nil},
		{"none", "none", all, Conditions{}, nil},
		{"pop-before-smtp", "pop-before-smtp", all, Conditions{}, nil},
		{"explicit takes that alone", "plain", all, Conditions{TLS: true}, []Mechanism{Plain}},
		{"explicit external needs no certificate of ours", "external", all, Conditions{TLS: true}, []Mechanism{External}},
		{"explicit token", "xoauth2", all, Conditions{TLS: true, HaveToken: true}, []Mechanism{XOAUTH2}},
		{"plaintext when allowed", "auto", []string{"PLAIN"}, Conditions{AllowPlaintext: true}, []Mechanism{Plain}},
		{"challenge in clear when allowed", "cram-md5", all, Conditions{AllowPlaintext: true}, []Mechanism{CRAMMD5}},
		{"offered twice counts once", "auto", []string{"PLAIN", "plain", "PLAIN"}, Conditions{TLS: true}, []Mechanism{Plain}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Choose(tt.method, tt.offered, tt.c)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Choose = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		method  upstream.AuthMethod
		offered []string
		c       Conditions
		class   upstream.Class
		says    string
	}{
		{"password in clear", "auto", []string{"PLAIN", "LOGIN"}, Conditions{}, upstream.ClassTLSRequired, "allow_plaintext"},
		{"challenge in clear", "scram-sha-256", []string{"SCRAM-SHA-256"}, Conditions{}, upstream.ClassTLSRequired, "not encrypted"},
		{"challenge in clear, auto", "auto", []string{"CRAM-MD5"}, Conditions{}, upstream.ClassTLSRequired, "not encrypted"},
		{"token in clear", "auto", []string{"XOAUTH2"}, Conditions{HaveToken: true}, upstream.ClassTLSRequired, "not encrypted"},
		{"external in clear", "external", []string{"EXTERNAL"}, Conditions{}, upstream.ClassTLSRequired, "not encrypted"},
		{"explicit, no login before TLS", "plain", nil, Conditions{AllowPlaintext: true}, upstream.ClassTLSRequired, "starttls"},
		{"explicit, no login at all", "plain", nil, Conditions{TLS: true}, upstream.ClassMechanismUnsupported, "auth to none"},
		{"explicit, not offered", "scram-sha-256", []string{"PLAIN", "LOGIN"}, Conditions{TLS: true}, upstream.ClassMechanismUnsupported, "SCRAM-SHA-256, only PLAIN, LOGIN"},
		{"only strange ones", "auto", []string{"GSSAPI", "NTLM"}, Conditions{TLS: true}, upstream.ClassMechanismUnsupported, "GSSAPI, NTLM"},
		{"only modern ones", "auto", []string{"XOAUTH2", "OAUTHBEARER"}, Conditions{TLS: true}, upstream.ClassAppPasswordOrOAuthRequired, "melon login"},
		{"oauth where there is none", "auto", []string{"PLAIN"}, Conditions{TLS: true, HaveToken: true}, upstream.ClassMechanismUnsupported, "PLAIN"},
		{"token method without a token", "xoauth2", []string{"XOAUTH2"}, Conditions{TLS: true}, upstream.ClassAppPasswordOrOAuthRequired, "oauth block"},
		{"all refused", "auto", []string{"PLAIN"}, Conditions{TLS: true, Avoid: []Mechanism{Plain}}, upstream.ClassMechanismUnsupported, "refused every one"},
		{"unknown method", "ntlm", []string{"NTLM"}, Conditions{TLS: true}, upstream.ClassMechanismUnsupported, "does not know"},
		{"a hostile offer is not repeated", "auto", []string{"\x1b[31mEVIL", strings.Repeat("A", 500), "OK-1"}, Conditions{TLS: true}, upstream.ClassMechanismUnsupported, "offers only OK-1 to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Choose(tt.method, tt.offered, tt.c)
			var e *upstream.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("Choose = %v, %v; want an *upstream.Error", got, err)
			}
			if e.Class != tt.class || e.Kind() != upstream.KindPerson || e.Phase != upstream.PhaseAuth {
				t.Errorf("class %s, kind %s, phase %s; want %s, person, auth", e.Class, e.Kind(), e.Phase, tt.class)
			}
			if !strings.Contains(e.Sentence, tt.says) || strings.ContainsRune(e.Sentence, '\x1b') {
				t.Errorf("sentence %q does not say %q", e.Sentence, tt.says)
			}
		})
	}
}

func TestNextMechanism(t *testing.T) {
	t.Parallel()
	all := []Mechanism{SCRAMSHA256, CRAMMD5, Plain, Login}
	tests := []struct {
		name    string
		refused Mechanism
		rest    []Mechanism
		c       Conditions
		want    Mechanism
	}{
		{"PLAIN once inside TLS", SCRAMSHA256, all, Conditions{TLS: true}, Plain},
		{"after CRAM-MD5 too", CRAMMD5, all, Conditions{TLS: true}, Plain},
		{"LOGIN where there is no PLAIN", CRAMMD5, []Mechanism{CRAMMD5, Login}, Conditions{TLS: true}, Login},
		{"never in clear", SCRAMSHA256, all, Conditions{AllowPlaintext: true}, ""},
		{"a refused password is refused", Plain, all, Conditions{TLS: true}, ""},
		{"PLAIN was tried", SCRAMSHA256, []Mechanism{SCRAMSHA256, Plain}, Conditions{TLS: true, Avoid: []Mechanism{Plain}}, ""},
		{"an explicit method has no next", SCRAMSHA256, []Mechanism{SCRAMSHA256}, Conditions{TLS: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := NextMechanism(tt.refused, tt.rest, tt.c); got != tt.want || ok != (tt.want != "") {
				t.Errorf("NextMechanism = %q, %v; want %q", got, ok, tt.want)
			}
		})
	}
}
