//go:build unix

package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, data string
		mode       fs.FileMode
		want       string // "" when it loads; FILE stands for the path
	}{
		{"good", "language: en\n", 0o600, ""},
		{"readable by all", "language: en\n", 0o644, ""},
		{"writable by all", "language: en\n", 0o602, "FILE:1:1: others may write this file (mode 0602), and so read your mail: run chmod go-w on it"},
		{"writable by the group", "language: en\n", 0o620, "FILE:1:1: others may write this file (mode 0620), and so read your mail: run chmod go-w on it"},
		{"two faults", "lang: en\n", 0o666, "FILE:1:1: unknown key \"lang\": did you mean language?\n" +
			"FILE:1:1: others may write this file (mode 0666), and so read your mail: run chmod go-w on it"},
		{"huge", strings.Repeat("# \n", 400_000), 0o600, "FILE:1:1: the file is larger than 1 MB: that is no configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.data)
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := strings.ReplaceAll(c.want, "FILE", path); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checked := ""
			if err := Check(path); err != nil {
				checked = err.Error()
			}
			if checked != got {
				t.Errorf("Check says %s", checked)
			}
		})
	}
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	none := Paths{Config: filepath.Join(dir, "none.yaml")}
	if c, err := LoadOrDefault(none); err != nil || c.File != none.Config || len(c.Listen.SMTP) != 2 {
		t.Errorf("no file yet: %+v, %v", c, err)
	}
	none.ConfigGiven = true
	if c, err := LoadOrDefault(none); !errors.Is(err, fs.ErrNotExist) || c != nil {
		t.Errorf("a named file that is missing: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestSecretProblems(t *testing.T) {
	t.Setenv("MELON_TEST_SET", "x")
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"good": 0o600, "readonly": 0o400, "group": 0o640, "all": 0o604, "empty": 0o600} {
		content := []byte("secret\n")
		if name == "empty" {
			content = nil
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.yaml")
	data := `accounts:
  a: {address: a@a.example, smtp: {host: h}, password: {file: good}}
  b: {address: a@a.example, smtp: {host: h}, password: {file: readonly}}
  c: {address: a@a.example, smtp: {host: h}, password: {file: group}}
  d: {address: a@a.example, smtp: {host: h}, password: {file: all}}
  e: {address: a@a.example, smtp: {host: h}, password: {file: empty}}
  f: {address: a@a.example, smtp: {host: h}, password: {file: none}}
  g: {address: a@a.example, smtp: {host: h}, password: {file: dir}}
  h: {address: a@a.example, smtp: {host: h}, password: {env: MELON_TEST_SET}}
  i: {address: a@a.example, smtp: {host: h}, password: {env: MELON_TEST_UNSET}}
  j: {address: a@a.example, smtp: {host: h}, password: {keyring: none}, trust: {ca: good}}
  k: {address: a@a.example, smtp: {host: h}, password: {command: [none]}, trust: {ca: none}}
  l: {address: a@a.example, smtp: {host: h}, pop: {host: h, password: {env: MELON_TEST_UNSET}}}
listen: {password: {file: none}}
`
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err) // run starts all the same
	}
	var got []string
	for _, p := range c.SecretProblems() {
		got = append(got, p.Account+" "+strings.ReplaceAll(p.Error(), dir+"/", ""))
	}
	want := `c config.yaml:4:56: accounts.c.password: others may read the file group: run chmod 600 on it
d config.yaml:5:56: accounts.d.password: others may read the file all: run chmod 600 on it
e config.yaml:6:56: accounts.e.password: the file empty is empty: write the secret into it
f config.yaml:7:56: accounts.f.password: there is no file none
g config.yaml:8:56: accounts.g.password: dir is not a file
i config.yaml:10:56: accounts.i.password: the environment variable MELON_TEST_UNSET is not set
j config.yaml:11:85: accounts.j.trust.ca: the file good has no PEM certificate in it
k config.yaml:12:87: accounts.k.trust.ca: there is no file none
l config.yaml:13:71: accounts.l.pop.password: the environment variable MELON_TEST_UNSET is not set
 config.yaml:14:20: listen.password: there is no file none`
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	var problems Problems
	if err := Check(path); !errors.As(err, &problems) || len(problems) != len(got) {
		t.Errorf("Check: %v", err)
	}
	// What was mended is seen without a reload.
	if err := os.Chmod(filepath.Join(dir, "all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if now := c.SecretProblems(); len(now) != len(got)-1 {
		t.Errorf("%d problems, had %d", len(now), len(got))
	}
}

// TestCheckKeepsOrder holds that faults of both kinds come in the file's order.
func TestCheckKeepsOrder(t *testing.T) {
	t.Parallel()
	path := write(t, "lisen: {}\naccounts: {a: {address: a@a.example, smtp: {host: h}, password: {file: none}}}\nlanguage: xx\n")
	err := Check(path)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 || problems[0].Line != 1 || problems[1].Line != 2 || problems[2].Line != 3 {
		t.Errorf("got %v", err)
	}
}

func TestListenPair(t *testing.T) {
	t.Parallel()
	path := write(t, "listen: {tls: {cert: cert.pem, key: key.pem}}\n")
	dir := filepath.Dir(path)
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":1:15: listen.tls: this certificate and key cannot be used") {
		t.Errorf("got %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func TestHolder(t *testing.T) {
	t.Parallel()
	path := write(t, "language: en\n")
	h := NewHolder(Defaults())
	if err := h.Reload(path); err != nil || h.Config().Language != "en" {
		t.Fatalf("%v, %s", err, h.Config().Language)
	}
	before := h.Config()
	for _, data := range []string{"language: xx\n", "language: [\n"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		var problems Problems
		if err := h.Reload(path); !errors.As(err, &problems) || h.Config() != before {
			t.Errorf("%q: %v", data, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(path); !errors.Is(err, fs.ErrNotExist) || h.Config() != before {
		t.Errorf("a file that is gone: %v", err)
	}
}

func TestEditKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	path := write(t, hand)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := SetDefault(link, "work"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%v, %v: no link any more", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
