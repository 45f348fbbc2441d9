package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"melon/upstream"
)

const (
	canary = "c4n4ry-s3cret" // every password and token: it must be in no error
	user   = "taro@provider-a.example"
)

func creds() Credentials {
	return Credentials{Username: user, Password: canary, Token: canary, Host: "smtp.provider-a.example", Port: 587}
}

// converse carries one exchange between client and a server of go-sasl, and
// returns how it ended for either.
func converse(t *testing.T, x *Exchange, server sasl.Server) (clientErr, serverErr error) {
	t.Helper()
	_, answer, err := x.Start()
	if err != nil {
		return err, nil
	}
	for range 10 {
		challenge, done, err := server.Next(answer)
		if err != nil {
			return nil, err
		}
		if done {
			return x.Done(), nil
		}
		if answer, err = x.Next(challenge); err != nil {
			return err, nil
		}
	}
	t.Fatal("the exchange does not end")
	return nil, nil
}

func exchange(t *testing.T, m Mechanism, c Credentials) *Exchange {
	t.Helper()
	x, err := NewExchange(m, c)
	if err != nil {
		t.Fatal(err)
	}
	if x.Mechanism() != m {
		t.Fatalf("mechanism %s, want %s", x.Mechanism(), m)
	}
	return x
}

func TestOneMessageMechanisms(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	check := func(ok bool) error {
		if !ok {
			return refused
		}
		return nil
	}
	servers := map[Mechanism]sasl.Server{
		Plain:    sasl.NewPlainServer(func(id, u, p string) error { return check(id == "" && u == user && p == canary) }),
		External: sasl.NewExternalServer(func(id string) error { return check(id == user) }),
		OAuthBearer: sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if o != (sasl.OAuthBearerOptions{Username: user, Token: canary, Host: "smtp.provider-a.example", Port: 587}) {
				return &sasl.OAuthBearerError{Status: "invalid_token"}
			}
			return nil
		}),
	}
	for m, server := range servers {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			c := creds()
			c.Identity = user
			if clientErr, serverErr := converse(t, exchange(t, m, c), server); clientErr != nil || serverErr != nil {
				t.Errorf("client %v, server %v", clientErr, serverErr)
			}
		})
	}
}

// TestTranscripts is the octets on the wire, before base64.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	rfc2195 := Credentials{Username: "tim", Password: "tanstaaftanstaaf"}
	escaped := creds()
	escaped.Username, escaped.Host, escaped.Port = "a,b=c", "", 0
	tests := []struct {
		name string
		m    Mechanism
		c    Credentials
		// script alternates server and client; the first is the initial
		// response, "-" for none.
		script []string
	}{
		{"plain", Plain, creds(), []string{"\x00" + user + "\x00" + canary}},
		{"login", Login, creds(), []string{"-", "Username:", user, "Password:", canary}},
		{"login, other prompts", Login, creds(), []string{"-", "ユーザー名", user, "", canary}},
		{"cram-md5, RFC 2195 section 2", CRAMMD5, rfc2195, []string{"-", "<1896.697170952@postoffice.reston.mci.net>", "tim b913a602c7eda7a495b4e6e7334d3890"}},
		{"external without identity", External, Credentials{}, []string{""}},
		{"xoauth2", XOAUTH2, creds(), []string{"user=" + user + "\x01auth=Bearer " + canary + "\x01\x01"}},
		{"xoauth2 refused", XOAUTH2, creds(), []string{"user=" + user + "\x01auth=Bearer " + canary + "\x01\x01", `{"status":"401","schemes":"Bearer","scope":"https://mail.example/"}`, ""}},
		{"oauthbearer", OAuthBearer, creds(), []string{"n,a=" + user + ",\x01host=smtp.provider-a.example\x01port=587\x01auth=Bearer " + canary + "\x01\x01"}},
		{"oauthbearer refused", OAuthBearer, creds(), []string{"n,a=" + user + ",\x01host=smtp.provider-a.example\x01port=587\x01auth=Bearer " + canary + "\x01\x01", `{"status":"invalid_token"}`, "\x01"}},
		{"oauthbearer, RFC 5801 section 4", OAuthBearer, escaped, []string{"n,a=a=2Cb=3Dc,\x01auth=Bearer " + canary + "\x01\x01"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := exchange(t, tt.m, tt.c)
			mech, ir, err := x.Start()
			if err != nil || mech != string(tt.m) || (ir == nil) != (tt.script[0] == "-") || ir != nil && string(ir) != tt.script[0] {
				t.Fatalf("Start = %q, %q, %v; want %q", mech, ir, err, tt.script[0])
			}
			for i := 1; i < len(tt.script); i += 2 {
				got, err := x.Next([]byte(tt.script[i]))
				if err != nil || string(got) != tt.script[i+1] {
					t.Fatalf("Next(%q) = %q, %v; want %q", tt.script[i], got, err, tt.script[i+1])
				}
			}
			if err := x.Done(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOAuthError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		challenge string
		want      OAuthError
	}{
		{`{"status":"invalid_token","schemes":"bearer","scope":"mail"}`, OAuthError{"invalid_token", "bearer", "mail"}},
		{`{"status":401,"schemes":"Bearer"}`, OAuthError{"401", "Bearer", ""}},
		{`{"status":"4\u001b[31m"}`, OAuthError{Status: `4\u001b[31m`}},
		{`<html>`, OAuthError{}},
		{``, OAuthError{}},
	}
	for _, m := range []Mechanism{XOAUTH2, OAuthBearer} {
		for _, tt := range tests {
			x := exchange(t, m, creds())
			x.Start()
			if _, ok := x.OAuthError(); ok {
				t.Error("an error before the server spoke")
			}
			if _, err := x.Next([]byte(tt.challenge)); err != nil {
				t.Fatal(err)
			}
			if got, ok := x.OAuthError(); !ok || got != tt.want {
				t.Errorf("%s: OAuthError = %+v, %v; want %+v", m, got, ok, tt.want)
			}
		}
	}
}

// scramServer returns a server that knows user's password as RFC 5802 wants it
// stored: prepared, unless that cannot be done.
func scramServer(t *testing.T, hash scram.HashGeneratorFcn, user, password string, iterations int) *scram.ServerConversation {
	t.Helper()
	keeper, err := hash.NewClient(user, password, "")
	if err != nil {
		keeper, _ = hash.NewClientUnprepped(user, password, "")
	}
	stored, err := keeper.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt-of-16-bytes", Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	server, err := hash.NewServer(func(u string) (scram.StoredCredentials, error) {
		if u != user {
			return scram.StoredCredentials{}, fmt.Errorf("no user %q", u)
		}
		return stored, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return server.NewConversation()
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, user, password, stored string }{
		{"plain ASCII", user, canary, canary},
		{"a user name to escape", "a=b,c", canary, canary},
		{"SASLprep, RFC 4013 section 3", user, "I\u00adX", "IX"},
		{"SASLprep, compatibility forms", user, "\u2168", "IX"},
		{"SASLprep, a no-break space", user, "a\u00a0b", "a b"},
		{"what SASLprep cannot take", user, "pass\U0001F511", "pass\U0001F511"},
	}
	hashes := map[Mechanism]scram.HashGeneratorFcn{SCRAMSHA1: scram.SHA1, SCRAMSHA256: scram.SHA256}
	for m, hash := range hashes {
		for _, tt := range tests {
			t.Run(string(m)+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				server := scramServer(t, hash, tt.user, tt.stored, 4096)
				x := exchange(t, m, Credentials{Username: tt.user, Password: tt.password})
				_, answer, err := x.Start()
				if err != nil {
					t.Fatal(err)
				}
				for !server.Done() {
					challenge, err := server.Step(string(answer))
					if err != nil {
						t.Fatalf("server: %v", err)
					}
					if answer, err = x.Next([]byte(challenge)); err != nil {
						t.Fatalf("client: %v", err)
					}
				}
				if err := x.Done(); err != nil || !server.Valid() || len(answer) != 0 {
					t.Errorf("Done = %v, server %v, last answer %q", err, server.Valid(), answer)
				}
			})
		}
	}
}

// TestSCRAMServerSignature: the server that took the proof must give its own.
func TestSCRAMServerSignature(t *testing.T) {
	t.Parallel()
	for _, final := range []string{
		"v=" + strings.Repeat("A", 43) + "=", "v=", "v=!", "garbage", "", // false ones
		"e=other-error", // refused, and success all the same
		"-",             // success without a word
	} {
		t.Run(final, func(t *testing.T) {
			t.Parallel()
			server := scramServer(t, scram.SHA256, user, "another password", 4096)
			x := exchange(t, SCRAMSHA256, creds())
			_, answer, _ := x.Start()
			first, err := server.Step(string(answer))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := x.Next([]byte(first)); err != nil {
				t.Fatal(err)
			}
			if final != "-" {
				_, err = x.Next([]byte(final))
			}
			if err == nil {
				err = x.Done()
			}
			var e *upstream.Error
			if !errors.As(err, &e) || !errors.Is(err, ErrServerSignature) {
				t.Fatalf("error %v, want ErrServerSignature", err)
			}
			if e.Kind() != upstream.KindTemporary || e.Class != upstream.ClassSMTPIntercepted {
				t.Errorf("kind %s, class %s", e.Kind(), e.Class)
			}
			if again := x.Done(); !errors.Is(again, ErrServerSignature) {
				t.Errorf("a later Done = %v", again)
			}
		})
	}
}

func TestHostileChallenges(t *testing.T) {
	t.Parallel()
	first := func(nonce, rest string) func(string) string {
		return func(ours string) string { return "r=" + strings.ReplaceAll(nonce, "NONCE", ours) + rest }
	}
	const salt = ",s=c2FsdA=="
	is := func(s string) func(string) string { return func(string) string { return s } }
	tests := []struct {
		name      string
		m         Mechanism
		challenge []func(nonce string) string
	}{
		{"a bomb of iterations", SCRAMSHA256, []func(string) string{first("NONCEx", salt+",i=2000000001")}},
		{"a bomb beyond int", SCRAMSHA1, []func(string) string{first("NONCEx", salt+",i=99999999999999999999999")}},
		{"few iterations", SCRAMSHA256, []func(string) string{first("NONCEx", salt+",i=1")}},
		{"negative iterations", SCRAMSHA256, []func(string) string{first("NONCEx", salt+",i=-4096")}},
		{"iterations in words", SCRAMSHA256, []func(string) string{first("NONCEx", salt+",i=many")}},
		{"our nonce alone", SCRAMSHA256, []func(string) string{first("NONCE", salt+",i=4096")}},
		{"another nonce", SCRAMSHA256, []func(string) string{first("xNONCE", salt+",i=4096")}},
		{"a nonce with controls", SCRAMSHA256, []func(string) string{first("NONCE\x00", salt+",i=4096")}},
		{"no salt", SCRAMSHA256, []func(string) string{first("NONCEx", ",s=,i=4096")}},
		{"salt of no base64", SCRAMSHA256, []func(string) string{first("NONCEx", ",s=***,i=4096")}},
		{"a mandatory extension", SCRAMSHA256, []func(string) string{is("m=x,r=,s=,i=4096")}},
		{"nothing", SCRAMSHA256, []func(string) string{is("")}},
		{"a long first message", SCRAMSHA256, []func(string) string{first("NONCE"+strings.Repeat("x", 5000), salt+",i=4096")}},
		{"SCRAM after a refusal", SCRAMSHA1, []func(string) string{first("NONCEx", salt+",i=4096"), is("e=invalid-proof"), is("more")}},
		{"PLAIN has no challenge", Plain, []func(string) string{is("go on")}},
		{"EXTERNAL has none", External, []func(string) string{is("go on")}},
		{"LOGIN has two", Login, []func(string) string{is("a"), is("b"), is("c")}},
		{"CRAM-MD5 without one", CRAMMD5, []func(string) string{is("")}},
		{"CRAM-MD5 of controls", CRAMMD5, []func(string) string{is("<\x00\x1b@x>")}},
		{"CRAM-MD5 has one", CRAMMD5, []func(string) string{is("<1@x>"), is("<2@x>")}},
		{"XOAUTH2 has one", XOAUTH2, []func(string) string{is("{}"), is("{}")}},
		{"an endless one", OAuthBearer, []func(string) string{is(strings.Repeat("x", MaxChallenge+1))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := exchange(t, tt.m, creds())
			_, ir, err := x.Start()
			if err != nil {
				t.Fatal(err)
			}
			nonce := string(ir[strings.LastIndex(string(ir), "=")+1:])
			for i, c := range tt.challenge {
				_, err = x.Next([]byte(c(nonce)))
				if last := i == len(tt.challenge)-1; (err != nil) != last {
					t.Fatalf("challenge %d: error %v", i, err)
				}
			}
			var e *upstream.Error
			if !errors.As(err, &e) || !errors.Is(err, ErrChallenge) || e.Kind() != upstream.KindTemporary {
				t.Fatalf("error %v, want a temporary ErrChallenge", err)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(e.Sentence, canary) {
				t.Errorf("the secret is in %q", err)
			}
			if x.Done() == nil {
				t.Error("Done after a failure says that all is well")
			}
		})
	}
}

// TestSCRAMError leaves a server-error to the reply that follows it.
func TestSCRAMError(t *testing.T) {
	t.Parallel()
	server := scramServer(t, scram.SHA1, user, "another password", 4096)
	x := exchange(t, SCRAMSHA1, creds())
	_, answer, _ := x.Start()
	first, _ := server.Step(string(answer))
	answer, err := x.Next([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	final, err := server.Step(string(answer))
	if err == nil || !strings.HasPrefix(final, "e=") {
		t.Fatalf("server says %q, %v", final, err)
	}
	if answer, err = x.Next([]byte(final)); err != nil || answer == nil || len(answer) != 0 {
		t.Errorf("Next = %q, %v; want an empty answer", answer, err)
	}
}

func TestUnusableCredentials(t *testing.T) {
	t.Parallel()
	change := func(f func(*Credentials)) Credentials { c := creds(); f(&c); return c }
	tests := []struct {
		name  string
		m     []Mechanism
		c     Credentials
		class upstream.Class
	}{
		{"no user name", []Mechanism{Plain, Login, CRAMMD5, SCRAMSHA1, SCRAMSHA256, XOAUTH2, OAuthBearer}, change(func(c *Credentials) { c.Username = "" }), upstream.ClassCredentialsRejected},
		{"NUL in the user name", []Mechanism{Plain, XOAUTH2}, change(func(c *Credentials) { c.Username = "a\x00b" }), upstream.ClassCredentialsRejected},
		{"a field separator in the user name", []Mechanism{XOAUTH2, OAuthBearer}, change(func(c *Credentials) { c.Username = "a\x01auth=Bearer x" }), upstream.ClassCredentialsRejected},
		{"no password", []Mechanism{Plain, Login, CRAMMD5, SCRAMSHA256}, change(func(c *Credentials) { c.Password = "" }), upstream.ClassCredentialsRejected},
		{"NUL in the password", []Mechanism{Plain, SCRAMSHA256}, change(func(c *Credentials) { c.Password += "\x00" }), upstream.ClassCredentialsRejected},
		{"a long password", []Mechanism{Plain}, change(func(c *Credentials) { c.Password = strings.Repeat(canary, 1000) }), upstream.ClassCredentialsRejected},
		{"no token", []Mechanism{XOAUTH2, OAuthBearer}, change(func(c *Credentials) { c.Token = "" }), upstream.ClassAppPasswordOrOAuthRequired},
		{"a token of two lines", []Mechanism{XOAUTH2, OAuthBearer}, change(func(c *Credentials) { c.Token += "\n" }), upstream.ClassAppPasswordOrOAuthRequired},
		{"an identity of controls", []Mechanism{External}, Credentials{Identity: "a\x00"}, upstream.ClassCredentialsRejected},
	}
	for _, tt := range tests {
		for _, m := range tt.m {
			_, err := NewExchange(m, tt.c)
			var e *upstream.Error
			if !errors.As(err, &e) || !errors.Is(err, ErrCredentials) || e.Class != tt.class || e.Kind() != upstream.KindPerson {
				t.Errorf("%s, %s: error %v", tt.name, m, err)
			} else if strings.Contains(err.Error(), canary) {
				t.Errorf("the secret is in %q", err)
			}
		}
	}
	if _, err := NewExchange("NTLM", creds()); !slices.Contains([]upstream.Class{upstream.ClassMechanismUnsupported}, upstream.AsError(err, "").Class) {
		t.Errorf("an unknown mechanism: %v", err)
	}
}

// FuzzExchange: whatever a server says, the client side answers or fails with a
// typed, temporary error without the secret.
func FuzzExchange(f *testing.F) {
	for _, s := range []string{"", "r=x,s=c2FsdA==,i=4096", "v=AAAA", "e=no", `{"status":"401"}`, "<1@x>", "Password:"} {
		f.Add(s, s)
	}
	all := append(append(passwordOrder(), tokenOrder()...), External)
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, m := range all {
			x := exchange(t, m, creds())
			x.Start()
			for _, c := range []string{one, two, one} {
				_, err := x.Next([]byte(c))
				if err == nil {
					continue
				}
				var e *upstream.Error
				if !errors.As(err, &e) || e.Kind() != upstream.KindTemporary || strings.Contains(err.Error(), canary) && !strings.Contains(c, canary) {
					t.Fatalf("%s: %v", m, err)
				}
			}
		}
	})
}
