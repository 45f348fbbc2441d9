package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2/maybe"
)

const (
	// linkLife is how long a one-time link may be used.
	linkLife = time.Minute
	// sessionLife is how long a browser stays let in.
	sessionLife = 7 * 24 * time.Hour
	// maxLinks bounds how many unused links there are; the oldest goes first.
	maxLinks = 16
	// keyName is the file of the secret in the state directory.
	keyName = "web.key"
	keySize = 32
)

var encoding = base64.RawURLEncoding

// sessions knows who is let in. It is safe for concurrent use.
type sessions struct {
	file string
	now  func() time.Time

	mu    sync.Mutex
	key   []byte
	links []link        // oldest first
	over  chan struct{} // closed when the sessions of this secret end
}

// link is a one-time link that was not used yet.
type link struct {
	sum  [sha256.Size]byte // of the token
	page string
	made time.Time
}

// openSessions reads the secret in dir, or makes one.
func openSessions(dir string, now func() time.Time) (*sessions, error) {
	s := &sessions{file: filepath.Join(dir, keyName), now: now, over: make(chan struct{})}
	key, err := os.ReadFile(s.file)
	switch {
	case err == nil && len(key) == keySize && s.private():
		s.key = key
		return s, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the web page's secret: %w", err)
	}
	return s, s.renew()
}

// private reports whether nobody else may read the secret.
func (s *sessions) private() bool {
	fi, err := os.Lstat(s.file)
	return err == nil && fi.Mode().IsRegular() && privateMode(fi.Mode())
}

// renew replaces the secret: every session and link ends.
func (s *sessions) renew() error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	// A file that is there would hand its mode on.
	if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the web page's secret: %w", err)
	}
	if err := maybe.WriteFile(s.file, key, 0o600); err != nil {
		return fmt.Errorf("the web page's secret: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.links = key, nil
	close(s.over)
	s.over = make(chan struct{})
	return nil
}

// ended returns a channel that is closed when all present sessions end.
func (s *sessions) ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// newLink returns the token of a new link to page.
func (s *sessions) newLink(page string) string {
	token := rand.Text() // 130 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.links) >= maxLinks {
		s.links = s.links[1:]
	}
	s.links = append(s.links, link{sum: sha256.Sum256([]byte(token)), page: page, made: s.now()})
	return token
}

// use takes a token, once. It returns the page that the link leads to.
func (s *sessions) use(token string) (page string, ok bool) {
	sum := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.links[:0]
	for _, l := range s.links {
		age := s.now().Sub(l.made)
		switch {
		case age < 0 || age > linkLife: // too old, or the clock was set
		case l.sum == sum:
			page, ok = l.page, true
		default:
			left = append(left, l)
		}
	}
	s.links = left
	return page, ok
}

// mac returns the code of a text under the secret; purpose keeps the uses apart.
func (s *sessions) mac(purpose, text string) string {
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s\x00%s", purpose, text)
	return encoding.EncodeToString(h.Sum(nil))
}

// cookieName is this installation's own, as cookies do not tell ports apart.
func (s *sessions) cookieName() string {
	sum := sha256.Sum256([]byte(s.mac("name", "")))
	return "melon_" + hex.EncodeToString(sum[:4])
}

// newCookie begins a session.
func (s *sessions) newCookie() *http.Cookie {
	id := make([]byte, 24)
	rand.Read(id[:16]) // never fails
	binary.BigEndian.PutUint64(id[16:], uint64(s.now().Unix()))
	text := encoding.EncodeToString(id)
	return &http.Cookie{
		Name: s.cookieName(), Value: text + "." + s.mac("session", text), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLife / time.Second),
	}
}

// session returns the request's session, "" when it has none that holds.
func (s *sessions) session(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil || len(c.Value) < 34 {
		return ""
	}
	text, code := c.Value[:32], c.Value[33:]
	id, err := encoding.DecodeString(text)
	if err != nil || c.Value[32] != '.' || !hmac.Equal([]byte(code), []byte(s.mac("session", text))) {
		return ""
	}
	age := s.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(id[16:])), 0))
	if age < -time.Hour || age > sessionLife {
		return ""
	}
	return text
}

// csrf returns the token that a session's forms carry.
func (s *sessions) csrf(session string) string { return s.mac("form", session) }

// validCSRF reports whether the token is that of the session.
func (s *sessions) validCSRF(session, token string) bool {
	return session != "" && hmac.Equal([]byte(token), []byte(s.csrf(session)))
}
