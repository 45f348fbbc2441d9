package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// parseDuration reads a Go duration of at least 0.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil && isDigits(s):
		return 0, fmt.Errorf("it has no unit, write %ss, %sm or %sh", s, s, s)
	case err != nil:
		return 0, errors.New("write a duration such as 30s, 10m or 120h")
	case d < 0:
		return 0, errors.New("it is negative")
	}
	return d, nil
}

// parsePositive is parseDuration for what must not be 0.
func parsePositive(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d == 0 {
		return 0, errors.New("it must be more than nothing, such as 5m")
	}
	return d, err
}

// parseSize reads octets: 100MB, 512 KiB, 1000000.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	unit := strings.TrimSpace(s[len(digits):])
	scale := map[string]int64{
		"": 1, "B": 1,
		"K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9,
		"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30,
	}[strings.ToUpper(unit)]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case scale == 0 || err != nil || !isDigits(digits):
		return 0, errors.New("write a size such as 100MB, 512KB or 1GB")
	case n == 0:
		return 0, errors.New("it must be more than nothing, such as 100MB")
	case n > (1<<40)/scale:
		return 0, errors.New("it is too large, 1000GB is the most")
	}
	return n * scale, nil
}

// parseListen reads "ADDRESS:PORT" to listen on. A name would have to be
// resolved first, so that it could end anywhere: only localhost is taken.
func parseListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if addr, e := netip.ParseAddr(strings.Trim(s, "[]")); e == nil {
			return "", fmt.Errorf("it has no port, write %q", net.JoinHostPort(addr.String(), "2525"))
		}
		return "", errors.New(`write ADDRESS:PORT, such as "127.0.0.1:2525" or "[::1]:2525"`)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || strconv.Itoa(n) != port {
		return "", errors.New("the port must be a number from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && host != "" {
		return "", errors.New("write the address in numbers, such as 127.0.0.1, or localhost")
	}
	return s, nil
}

// Loopback reports whether an address of Listen or Control can be reached from
// this machine alone.
func Loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// parseHost reads a host name or an IP address without brackets.
func parseHost(s string) (string, error) {
	bad := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.'
	}
	_, ipErr := netip.ParseAddr(strings.Trim(s, "[]"))
	host, port, splitErr := net.SplitHostPort(s)
	switch {
	case ipErr == nil && strings.ContainsAny(s, "[]"):
		return "", errors.New("write the address without brackets")
	case ipErr == nil:
		return s, nil
	case strings.Contains(s, "://"):
		return "", errors.New("write the name alone, without " + s[:strings.Index(s, "://")+3])
	case splitErr == nil && isDigits(port) && host != "":
		return "", fmt.Errorf("write the port as a setting of its own, {host: %s, port: %s}", host, port)
	case strings.Contains(s, "@"):
		return "", errors.New("that is a mail address, write the server's name")
	case len(s) > 253, strings.ContainsFunc(s, bad), strings.Contains(s, ".."), s[0] == '.', s[0] == '-':
		return "", errors.New("write a host name such as smtp.example.net")
	}
	for _, label := range strings.Split(s, ".") {
		if len(label) > 63 {
			return "", errors.New("a part of the name is longer than 63 characters")
		}
	}
	return s, nil
}

// parseAddress reads a bare mail address.
func parseAddress(s string) (string, error) {
	at := strings.LastIndexByte(s, '@')
	switch {
	case strings.ContainsAny(s, "<>"):
		return "", errors.New("write the bare address, such as taro@provider-a.example")
	case at < 1 || len(s) > 254 || strings.ContainsFunc(s, unicode.IsSpace) || strings.Contains(s[:at], "@"),
		strings.ContainsAny(s, ",;"):
		return "", errors.New("write one address, such as taro@provider-a.example")
	}
	domain := s[at+1:]
	if lit, ok := strings.CutPrefix(domain, "["); ok && strings.HasSuffix(lit, "]") {
		return s, nil // an address literal (RFC 5321 section 4.1.3)
	}
	if domain == "" {
		return "", errors.New("the domain is missing behind the @")
	}
	if _, err := parseHost(domain); err != nil {
		return "", errors.New("what is behind the @ is no domain")
	}
	return s, nil
}

// parsePattern reads a pattern for mail addresses, in which "*" matches any
// run of characters.
func parsePattern(s string) (string, error) {
	switch {
	case strings.ContainsFunc(s, unicode.IsSpace) || strings.ContainsAny(s, "<>,;"):
		return "", errors.New(`write one pattern, such as "*@work.example"`)
	case strings.Count(s, "@") > 1:
		return "", errors.New("it has more than one @")
	case !strings.ContainsAny(s, "@*"):
		return "", fmt.Errorf(`it matches no address, write "*@%s" for a domain`, s)
	case strings.HasPrefix(s, "@"):
		return "", fmt.Errorf(`nothing is in front of the @, write "*%s"`, s)
	case strings.HasSuffix(s, "@"):
		return "", fmt.Errorf(`nothing is behind the @, write "%s*"`, s)
	}
	return s, nil
}

// parseSubnet reads a network prefix.
func parseSubnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if a, e := netip.ParseAddr(s); e == nil && a.Zone() == "" {
			return p, fmt.Errorf("it has no length, write %s/%d", a, a.BitLen())
		}
		return p, errors.New("write a subnet such as 10.20.0.0/16")
	}
	if p != p.Masked() {
		return p, fmt.Errorf("that is an address inside the subnet, write %s", p.Masked())
	}
	return p, nil
}

func parseIP(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, errors.New("write an IP address such as 10.20.0.1")
	}
	return a.Unmap(), nil
}

// parsePin reads the pin of a public key (RFC 7469 section 2.4).
func parsePin(s string) (string, error) {
	digest, ok := strings.CutPrefix(s, "sha256/")
	raw, err := base64.StdEncoding.DecodeString(digest)
	if !ok || err != nil || len(raw) != 32 {
		return "", errors.New("write sha256/ and the 44 characters of the digest in base64")
	}
	return s, nil
}

func parseEnv(s string) (string, error) {
	if strings.HasPrefix(s, "$") {
		return "", errors.New("write the variable's name without $")
	}
	if strings.ContainsAny(s, "= ") {
		return "", errors.New("write the name of an environment variable")
	}
	return s, nil
}

// parseURL reads an OAuth 2.0 endpoint: https, or http to this machine.
func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return "", errors.New("write a URL such as https://login.example.net/token")
	case u.Scheme == "https", u.Scheme == "http" && Loopback(net.JoinHostPort(u.Hostname(), "0")):
		return s, nil
	}
	return "", errors.New("it must begin with https://")
}

// parseName reads the name of an account or a network. It is typed on command
// lines and as a login name.
func parseName(s string) (string, error) {
	bad := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`/\"'<>,:;|*?$&{}[]()#!`+"`", r) }
	switch {
	case len(s) > 64:
		return "", errors.New("it is longer than 64 octets")
	case strings.ContainsFunc(s, bad) || strings.HasPrefix(s, "-") || strings.Trim(s, ".") == "":
		return "", errors.New("write a name of letters, digits and any of . _ - @ +")
	}
	return s, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
