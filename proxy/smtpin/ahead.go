package smtpin

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"melon/upstream"
)

// Expecter is a Transaction that likes to know of recipients ahead of time. An
// app that pipelines (RFC 2920) sends all its RCPT commands without waiting for
// replies; they are handed to the Transaction one by one all the same, which
// costs a round trip each where every one has to hear its own verdict.
type Expecter interface {
	// Expect is called before Rcpt with the recipient that is about to be
	// handed in and those behind it, two at least, as the app has sent them
	// already. It is a hint: each of them is still checked and then handed to
	// Rcpt, or is not, and to one that is not nothing may be sent.
	Expect(ctx context.Context, rcs []upstream.Recipient)
}

// announce tells the transaction which recipients lie in the buffer behind this
// one. It does nothing while those told before are still being handed in.
func (s *session) announce(rc upstream.Recipient) {
	if s.ahead > 0 {
		s.ahead--
		return
	}
	e, ok := s.tx.(Expecter)
	if !ok {
		return
	}
	more := s.c.recipientsAhead(s.env.SMTPUTF8, s.c.set.limits.Recipients-s.asked)
	if len(more) == 0 {
		return
	}
	s.ahead = len(more)
	e.Expect(s.c.ctx, append([]upstream.Recipient{rc}, more...))
}

// recipientsAhead reads the RCPT commands at the start of the buffer without
// taking them from it: at most n, and none behind anything that is not plainly
// one that go-smtp and the session will take.
func (c *conn) recipientsAhead(utf8 bool, n int) (rcs []upstream.Recipient) {
	buf, _ := c.in.Peek(c.in.Buffered())
	for len(rcs) < n {
		end := bytes.IndexByte(buf, '\n')
		if end < 0 || end > maxCommandLine {
			break
		}
		line := bytes.TrimSuffix(buf[:end], []byte{'\r'})
		if len(line) == 0 || foreign(line) || bytes.IndexByte(line, '\r') >= 0 {
			break
		}
		rc, ok := plainRecipient(strings.TrimRight(string(line), " \t"))
		if !ok || !utf8 && !isASCII(rc.Address) {
			break
		}
		rcs, buf = append(rcs, rc), buf[end+1:]
	}
	return rcs
}

// plainRecipient reads a RCPT command as go-smtp and session.Rcpt do, and
// refuses to understand what would need more than that.
func plainRecipient(line string) (rc upstream.Recipient, ok bool) {
	verb, arg := verbOf(line)
	if verb != "RCPT" || len(arg) < 3 || !strings.EqualFold(arg[:3], "TO:") {
		return rc, false
	}
	addr, rest, err := parsePath(arg[3:])
	if err != nil || addr == "" {
		return rc, false
	}
	rc.Address = addr
	for param := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(param, "=")
		switch strings.ToUpper(key) {
		case "NOTIFY":
			rc.Notify, ok = plainNotify(value)
		case "ORCPT":
			rc.OriginalType, rc.Original, ok = plainOriginal(value)
		default:
			ok = false
		}
		if !ok {
			return rc, false
		}
	}
	return rc, true
}

// plainNotify reads the value of NOTIFY (RFC 3461 section 4.1).
func plainNotify(value string) (words []string, ok bool) {
	for w := range strings.SplitSeq(strings.ToUpper(value), ",") {
		switch w {
		case "NEVER", "SUCCESS", "FAILURE", "DELAY":
		default:
			return nil, false
		}
		if slices.Contains(words, w) {
			return nil, false
		}
		words = append(words, w)
	}
	return words, len(words) == 1 || !slices.Contains(words, "NEVER")
}

// plainOriginal reads the value of ORCPT (RFC 3461 section 4.2) that has nothing
// encoded in it.
func plainOriginal(value string) (kind, addr string, ok bool) {
	kind, addr, _ = strings.Cut(value, ";")
	kind = strings.ToUpper(kind)
	return kind, addr, kind == "RFC822" && addr != "" && isASCII(addr) && !strings.ContainsAny(addr, `+=\`)
}
