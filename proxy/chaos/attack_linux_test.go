package chaos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream/lab"
)

// honest starts the program before an honest provider, with its web page.
func honest(t *testing.T) (*relayd, *site, *lab.Provider) {
	t.Helper()
	s := newSite(t)
	p := lab.Run(t, lab.Options{Rules: lab.Rules{Auth: true}, Hosts: []string{"127.0.0.1"}})
	secret := s.write(t, "secret", lab.DefaultUser.Password+"\n")
	ca := s.write(t, "ca.pem", string(p.CAPEM()))
	_, port, _ := net.SplitHostPort(p.SMTPAddr())
	s.write(t, "config.yaml", fmt.Sprintf(`listen: {smtp: ["127.0.0.1:0"]}
control: {web: "127.0.0.1:0"}
accounts:
  h: {address: taro@provider-a.example, username: taro, password: {file: %s}, smtp: {host: 127.0.0.1, port: %s}, trust: {ca: %s}}
default: h
`, secret, port, ca))
	r, err := s.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	return r, s, p
}

// webOf returns the address of the web page.
func webOf(t *testing.T, r *relayd) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^listening web (\S+)$`).FindStringSubmatch(r.log())
	if m == nil {
		t.Fatalf("no web page:\n%s", r.log())
	}
	return m[1]
}

// nothingHappened checks that no message was taken or sent.
func nothingHappened(t *testing.T, s *site, p *lab.Provider) {
	t.Helper()
	if list := entries(t, s); len(list) != 0 {
		t.Errorf("in the outbox: %+v", list)
	}
	if n := p.Stats().Messages; n != 0 {
		t.Errorf("the provider has %d messages", n)
	}
}

// TestAttackBrowserFormPost is a web page that the person looks at, which posts
// a form to Melon's ports: a body of SMTP commands to the relay, a command to the
// web page and the control API.
func TestAttackBrowserFormPost(t *testing.T) {
	t.Parallel()
	r, s, p := honest(t)
	smuggled := "\r\nEHLO x\r\nMAIL FROM:<taro@provider-a.example>\r\nRCPT TO:<spam@elsewhere.example>\r\nDATA\r\nSubject: x\r\n\r\nbuy\r\n.\r\nQUIT\r\n"
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		resp, err := http.Post("http://"+r.addr+"/", kind, strings.NewReader(smuggled))
		if err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(b), "250") {
				t.Errorf("the relay went on with a browser: %q", b)
			}
		}
	}
	web := webOf(t, r)
	for _, path := range []string{"/", "/outbox", "/outbox/send", "/v1/outbox/send", "/v1/pause", "/v1/stop", "/settings", "/accounts"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+web+path, strings.NewReader(url.Values{"ids": {""}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://evil.example")
		code, body := fetch(t, req)
		if code < 400 || strings.Contains(body, "taro@") {
			t.Errorf("POST %s: %d, %.200q", path, code, body)
		}
	}
	nothingHappened(t, s, p)
	if out, errs, err := s.run(t.Context(), "status", "--json"); err != nil || strings.Contains(out, `"paused": true`) {
		t.Errorf("status: %v, %s%s", err, out, errs)
	}
}

// TestAttackRebinding is a page whose name begins to mean this machine once the
// browser has loaded it: it reads what it can.
func TestAttackRebinding(t *testing.T) {
	t.Parallel()
	r, _, _ := honest(t)
	web := webOf(t, r)
	_, port, _ := net.SplitHostPort(web)
	for _, host := range []string{"evil.example", "evil.example:" + port, "127.0.0.1.evil.example:" + port, "localhost.evil.example", "[::ffff:10.0.0.1]:" + port} {
		for _, path := range []string{"/", "/v1/status", "/v1/events", "/v1/accounts", "/outbox"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+web+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			code, body := fetch(t, req)
			if code < 400 || strings.Contains(body, "taro@") || strings.Contains(body, `"state"`) {
				t.Errorf("GET %s as %s: %d, %.200q", path, host, code, body)
			}
		}
	}
}

func fetch(t *testing.T, req *http.Request) (code int, body string) {
	t.Helper()
	c := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return 499, err.Error() // cut off
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(b)
}

// TestAttackReadableSecret: a password that others can read is not used; the
// mail is refused with the reason.
func TestAttackReadableSecret(t *testing.T) {
	t.Parallel()
	r, s, p := honest(t)
	if err := os.Chmod(filepath.Join(s.dir, "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := handIn(t, r, lab.DefaultUser.Address); code < 500 {
		t.Errorf("the app was told %d", code)
	}
	if st := p.Stats(); st.Auths+st.AuthFailures > 0 {
		t.Errorf("the secret was used: %+v", st)
	}
	nothingHappened(t, s, p)
	if !strings.Contains(r.log(), "open to others") {
		t.Errorf("the log does not give the reason:\n%s", r.log())
	}
}

// TestAttackPlantedSocket puts something in the place of the control socket
// before the start: what listens there is not replaced and not believed.
func TestAttackPlantedSocket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, path string)
		want  string
	}{
		{"a socket that answers", func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}, "another Melon answers"},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a socket"},
		{"a link to another's socket", func(t *testing.T, path string) {
			if err := os.Symlink("/run/somebody.sock", path); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.write(t, "config.yaml", "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"off\"}\n")
			path := filepath.Join(s.state, "control.sock")
			c.plant(t, path)
			before, _ := os.Lstat(path)
			r, err := s.start(t.Context())
			if err == nil {
				r.kill()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
			if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() || !os.SameFile(before, after) {
				t.Errorf("it was replaced: %v, %v", after, err)
			}
		})
	}
}

// TestAttackIdleConnections: 2,000 connections that say nothing, and as many that
// stop in the middle of a command, do not stop a real send.
func TestAttackIdleConnections(t *testing.T) {
	t.Parallel()
	r, _, p := honest(t)
	var mu sync.Mutex
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for range 100 {
				c, err := net.DialTimeout("tcp", r.addr, patience)
				if err != nil {
					t.Error(err)
					return
				}
				// In a crowd that is still coming in, nobody idles yet.
				_ = c.SetReadDeadline(time.Now().Add(patience))
				_, _ = c.Read(make([]byte, 4))
				if i%2 == 0 {
					_, _ = io.WriteString(c, "EHLO x\r\nMAIL FROM:<taro@provider-a.exam")
				}
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	begin := time.Now()
	if code := handIn(t, r, lab.DefaultUser.Address); code != 250 {
		t.Errorf("the real send was answered with %d", code)
	}
	if n := p.Stats().Messages; n != 1 {
		t.Errorf("%d messages at the provider", n)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	if err != nil || len(fds) > 1100 {
		t.Errorf("%d descriptors, %v", len(fds), err)
	}
	t.Logf("answered in %v with %d descriptors", time.Since(begin), len(fds))
}
