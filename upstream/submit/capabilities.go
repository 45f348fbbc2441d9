package submit

import (
	"slices"
	"strconv"
	"strings"
)

// Capabilities is what the server offers in its reply to EHLO (RFC 5321
// section 4.1.1.1). The zero value is a server that only knows HELO.
type Capabilities struct {
	Extended     bool     // EHLO was understood
	Pipelining   bool     // RFC 2920
	Chunking     bool     // RFC 3030
	EightBitMIME bool     // RFC 6152
	SMTPUTF8     bool     // RFC 6531
	DSN          bool     // RFC 3461
	StartTLS     bool     // RFC 3207
	Size         bool     // RFC 1870
	MaxSize      int64    // octets, 0 when not told
	Auth         []string // mechanisms as offered, in upper case; nil when AUTH is not (RFC 4954)
	Hello        string   // the text of the reply's first line: often names the client's public address
}

// parseCapabilities reads the lines of a 250 reply to EHLO.
func parseCapabilities(lines []string) Capabilities {
	c := Capabilities{Extended: true}
	if len(lines) > 0 {
		c.Hello = lines[0]
		lines = lines[1:]
	}
	for _, line := range lines {
		words := strings.Fields(strings.ToUpper(line))
		if len(words) == 0 {
			continue
		}
		keyword, args := words[0], words[1:]
		// "AUTH=LOGIN PLAIN" was written for clients that predate RFC 2554.
		if rest, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			keyword, args = "AUTH", append([]string{rest}, args...)
		}
		switch keyword {
		case "PIPELINING":
			c.Pipelining = true
		case "CHUNKING":
			c.Chunking = true
		case "8BITMIME":
			c.EightBitMIME = true
		case "SMTPUTF8":
			c.SMTPUTF8 = true
		case "DSN":
			c.DSN = true
		case "STARTTLS":
			c.StartTLS = true
		case "SIZE":
			c.Size = true
			if len(args) > 0 {
				n, _ := strconv.ParseInt(args[0], 10, 64) // one beyond it is as good as none
				c.MaxSize = max(n, 0)
			}
		case "AUTH":
			for _, m := range args {
				if m != "" && !slices.Contains(c.Auth, m) {
					c.Auth = append(c.Auth, m)
				}
			}
		}
	}
	return c
}
