package smtpin

import (
	"math"
	"strconv"
	"strings"
)

// command looks at a command before go-smtp does. It returns the line for
// go-smtp and true, or false when it was answered here.
func (c *conn) command(line string) (string, bool) {
	line = strings.TrimRight(line, " \t")
	verb, arg := verbOf(line)
	c.frame.size = 0
	if speaksHTTP(verb) {
		c.cut("not a mail app: HTTP", "")
		return "", false
	}
	if c.who.door.remote && !c.who.TLS && !clearVerb(verb) {
		c.say("530 5.7.0 Must issue a STARTTLS command first")
		c.budget.bad++
		return "", false
	}
	switch verb {
	case "HELO", "EHLO":
		c.budget.idle++
		c.who.Extended = verb == "EHLO"
	case "NOOP", "RSET", "VRFY", "AUTH":
		c.budget.idle++
	case "MAIL":
		return c.mail(line, arg)
	case "RCPT", "DATA", "QUIT":
	case "BDAT":
		return c.bdat(arg)
	case "STARTTLS":
		c.askTLS(arg)
		return "", false
	default:
		c.other(verb)
		return "", false
	}
	c.frame.line = line
	return line, true
}

// clearVerb reports whether a command may come before TLS where TLS is required
// (RFC 3207 section 4).
func clearVerb(verb string) bool {
	switch verb {
	case "EHLO", "HELO", "NOOP", "RSET", "QUIT", "STARTTLS", "HELP":
		return true
	}
	return false
}

// other answers what go-smtp would count as an error or not know.
func (c *conn) other(verb string) {
	switch verb {
	case "HELP":
		c.budget.idle++
		c.say("214 2.0.0 This is Melon: it takes mail from this computer's mail app to its provider")
	case "EXPN", "SEND", "SOML", "SAML", "TURN", "ETRN":
		c.budget.bad++
		c.say("502 5.5.1 Command not implemented")
	default:
		c.budget.bad++
		c.say("500 5.5.2 Command not recognized")
	}
}

// mail checks the SIZE parameter (RFC 1870), of which go-smtp reads no more
// than 32 bits; a larger one is kept here and taken out of the line.
func (c *conn) mail(line, arg string) (string, bool) {
	c.frame.line = line
	colon := strings.IndexByte(arg, ':')
	if colon < 0 {
		return line, true
	}
	_, rest, err := parsePath(arg[colon+1:])
	if err != nil {
		return line, true
	}
	var kept []string
	for f := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(f, "=")
		size, err := strconv.ParseUint(value, 10, 63)
		if !strings.EqualFold(key, "SIZE") || err != nil && !isDigits(value) {
			kept = append(kept, f)
			continue
		}
		if err != nil || int64(size) > c.set.limits.Message {
			c.say("552 5.3.4 Message is larger than the limit of " +
				strconv.FormatInt(c.set.limits.Message, 10) + " octets")
			return "", false
		}
		if size <= math.MaxUint32 {
			kept = append(kept, f)
			continue
		}
		c.frame.size = int64(size)
	}
	if c.frame.size > 0 {
		head := strings.TrimSuffix(line, rest)
		return strings.TrimRight(head+" "+strings.Join(kept, " "), " "), true
	}
	return line, true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// offersTLS reports whether STARTTLS is offered.
func (c *conn) offersTLS() bool {
	return !c.who.TLS && (c.who.door.remote || c.set.starttls)
}

// askTLS answers STARTTLS.
func (c *conn) askTLS(arg string) {
	switch {
	case arg != "":
		c.say("501 5.5.4 STARTTLS takes no parameter")
	case c.who.TLS:
		c.say("503 5.5.1 TLS is on already")
	case !c.offersTLS():
		c.say("502 5.5.1 STARTTLS is not offered here")
	default:
		c.startTLS()
		return
	}
	c.budget.bad++
}

// bdat makes the first BDAT of a message (RFC 3030 section 2) a DATA for
// go-smtp; those that follow are read by the body. The chunk comes whatever the
// answer is, so a size that cannot be read leaves no way to tell commands from
// content: the connection ends.
func (c *conn) bdat(arg string) (string, bool) {
	ch, ok := parseBDAT(arg)
	if !ok {
		c.cut("BDAT without a size", "501 5.5.4 Malformed BDAT command, closing the connection")
		return "", false
	}
	c.frame.chunk = ch
	c.frame.line = "BDAT"
	return "DATA", true
}

// chunk is the BDAT chunk that the app is sending.
type chunk struct {
	active bool
	left   int64 // octets of it still to come
	size   int64
	last   bool
}

// parseBDAT reads the argument of BDAT.
func parseBDAT(arg string) (chunk, bool) {
	f := strings.Fields(arg)
	if len(f) < 1 || len(f) > 2 || !isDigits(f[0]) || len(f) == 2 && !strings.EqualFold(f[1], "LAST") {
		return chunk{}, false
	}
	size, err := strconv.ParseInt(f[0], 10, 64)
	return chunk{active: true, left: size, size: size, last: len(f) == 2}, err == nil
}
