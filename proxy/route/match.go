package route

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"melon/proxy/config"
	"melon/upstream/network"
)

// fold brings an address or a pattern into the form that is compared: lower
// case, also in the local part, as no provider gives Taro and taro to two
// people; the domain in Unicode, so that both spellings of an
// internationalized name are one (RFC 5890 section 2.3.2.1).
func fold(address string) string {
	address = strings.ToLower(address)
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !strings.Contains(address[at:], "xn--") {
		return address
	}
	labels := strings.Split(address[at+1:], ".")
	for i, label := range labels {
		if u, err := idna.Punycode.ToUnicode(label); err == nil && !strings.Contains(label, "*") {
			labels[i] = strings.ToLower(u)
		}
	}
	return address[:at+1] + strings.Join(labels, ".")
}

// match reports whether s is of the pattern, in which "*" stands for any run
// of characters. It takes time in proportion to len(pattern)*len(s) at most.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last "*", and where in s it was met
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0: // let the last "*" take one octet more
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// on reports whether the machine is on network n: every mark that n gives must
// hold, of each mark any of its values.
func on(n *config.Network, s network.State) bool {
	if !s.Online {
		return false
	}
	like := func(name string) func(string) bool {
		return func(pattern string) bool { return name != "" && match(pattern, name) }
	}
	if len(n.Subnets) > 0 {
		inside := false
		for _, p := range n.Subnets {
			inside = inside || p.Contains(s.Local4.Unmap()) || p.Contains(s.Local6.WithZone(""))
		}
		if !inside {
			return false
		}
	}
	return (len(n.Gateways) == 0 || slices.Contains(n.Gateways, s.Gateway.Unmap())) &&
		(len(n.SSIDs) == 0 || slices.ContainsFunc(n.SSIDs, like(s.SSID))) &&
		(len(n.Interfaces) == 0 || slices.ContainsFunc(n.Interfaces, like(s.Interface)))
}
