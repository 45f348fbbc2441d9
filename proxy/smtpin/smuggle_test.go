package smtpin

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzSmuggling sends any content by DATA, unstuffed as a hostile app would, or
// in chunks cut anywhere, in packets of any size. By DATA the message ends where
// RFC 5321 section 4.1.1.4 says and nowhere else, and only what comes after it can
// be another one; in chunks the content is the message whatever is in it. How the
// octets were packed makes no difference.
func FuzzSmuggling(f *testing.F) {
	const second = "MAIL FROM:<evil@x.example>\r\nRCPT TO:<v@d.example>\r\nDATA\r\nsmuggled\r\n.\r\n"
	for _, end := range []string{"\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n\n.\r\n", "\r\r\n.\r\n", "\r\n.\r\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n..\r\n", ".\r\n", ""} {
		f.Add([]byte("a"+end+second), []byte{1, 3, 0, 7}, uint8(2), false)
		f.Add([]byte("a"+end+second), []byte{2, 250}, uint8(0), true)
	}
	r := &recorder{}
	s := start(f, Options{Handler: r, Limits: Limits{Message: 1 << 20, Recipients: 9, BadCommands: 50, Idle: time.Minute}})
	f.Fuzz(func(t *testing.T, content, cuts []byte, packet uint8, chunked bool) {
		if len(content) > 4096 || len(cuts) > 20 {
			return
		}
		stream := []byte("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
		want, rest := string(content), ""
		if chunked {
			stream = append(stream, chunks(content, cuts)...)
		} else {
			stream = append(append(append(stream, "DATA\r\n"...), content...), "\r\n.\r\n"...)
			want, rest = dotEnd(string(content) + "\r\n.\r\n")
		}
		stream = append(stream, "QUIT\r\n"...)
		bodies := taken(t, s, r, stream, len(stream))
		if again := taken(t, s, r, stream, int(packet)+1); !slices.Equal(bodies, again) {
			t.Errorf("%q in packets of %d: %q; in one: %q", stream, packet+1, again, bodies)
		}
		switch more := strings.Count(strings.ToUpper(rest), "MAIL FROM"); {
		case len(bodies) == 0 || bodies[0] != "a@b.example "+want:
			t.Errorf("%q: took %q, want %q", stream, bodies, want)
		case len(bodies) > 1+more:
			t.Errorf("%q: %d messages", stream, len(bodies))
		}
	})
}

// chunks sends content by BDAT, cut after as many octets as cuts say.
func chunks(content, cuts []byte) []byte {
	var out bytes.Buffer
	for _, n := range cuts {
		k := min(int(n), len(content))
		fmt.Fprintf(&out, "BDAT %d\r\n%s", k, content[:k])
		content = content[k:]
	}
	fmt.Fprintf(&out, "BDAT %d LAST\r\n%s", len(content), content)
	return out.Bytes()
}

// dotEnd is what RFC 5321 sections 4.1.1.4 and 4.5.2 make of what follows DATA:
// the content, and what comes after its end.
func dotEnd(stream string) (content, rest string) {
	content, rest, _ = strings.Cut("\r\n"+stream, "\r\n.\r\n")
	content = strings.ReplaceAll(content+"\r\n", "\r\n.", "\r\n")
	return content[2:], rest
}

// taken plays the stream in packets of size octets and returns sender and body of
// each message that was taken whole.
func taken(t *testing.T, s *Server, r *recorder, stream []byte, size int) (all []string) {
	t.Helper()
	r.mu.Lock()
	r.messages = nil
	r.mu.Unlock()
	script := &scriptConn{in: slices.Clone(stream), size: size, closed: make(chan struct{})}
	c := newConn(s, s.set.Load(), script, who{door: s.doors[0], Client: Client{ID: s.newID()}})
	if reason := s.add(c); reason != "" {
		t.Fatal(reason)
	}
	s.handOn(c)
	<-script.closed
	for _, m := range r.complete() {
		all = append(all, m.env.From+" "+m.body)
	}
	return all
}
