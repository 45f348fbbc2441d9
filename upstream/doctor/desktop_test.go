//go:build desktop && linux

package doctor

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"melon/upstream"
	"melon/upstream/dial"
)

// inNamespace names the case that a child of this test runs.
const inNamespace = "MELON_TEST_IN_NAMESPACE"

// hole is a shell function: an interface with an address, behind which everything
// vanishes.
const hole = `hole() {
	ip link add $1 type veth peer name peer-$1
	ip link set peer-$1 up; ip link set $1 arp off up; ip addr add $2 dev $1
}
`

// fixedNames gives addresses without asking anybody.
type fixedNames map[string]string

func (f fixedNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(f[host]); err == nil {
		return []netip.Addr{a}, nil
	}
	return nil, os.ErrNotExist
}

// TestNamespaces has the verdict for networks of the kernel's, each in a namespace
// of its own; it needs root, unshare(1) and ip(8).
func TestNamespaces(t *testing.T) {
	cases := map[string]struct {
		setup string
		want  upstream.Class
		check string
		part  string
	}{
		"offline": {"", upstream.ClassOffline, "network", "no route"},
		"swallowed": {`hole tun0 10.8.0.2/24
			ip route add default dev tun0`, upstream.ClassVPNRoute, "vpn", "through a VPN: tun0 (10.8.0.2)"},
		"split": {`hole lan0 192.0.2.77/24
			hole wg0 10.8.0.2/24
			ip route add default dev lan0; ip route add 198.51.100.110 dev wg0`, upstream.ClassPortBlocked, "vpn", "POP leaves by wg0 (10.8.0.2) and SMTP by lan0 (192.0.2.77)"},
		"dropped": {`hole lan0 192.0.2.77/24
			ip route add default dev lan0`, upstream.ClassPortBlocked, "smtp-587", "did not answer"},
		"unreachable": {`hole lan0 192.0.2.77/24
			ip route add default dev lan0; ip route add unreachable 198.51.100.25`, upstream.ClassServerUnreachable, "smtp-587", ""},
	}
	if name := os.Getenv(inNamespace); name != "" {
		tc := cases[name]
		if out, err := exec.Command("sh", "-ec", hole+tc.setup).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		a := upstream.Account{Name: "home", Address: "taro@provider-a.example", Username: "taro", Auth: upstream.AuthAuto}
		a.SMTP = upstream.Server{Host: "smtp.provider-a.example", Port: 587, Security: upstream.SecurityAuto}
		a.POP.Server = upstream.Server{Host: "pop.provider-a.example", Port: 110, Security: upstream.SecurityAuto}
		r := Run(t.Context(), Options{Account: a, Secrets: oneSecret("x"), Probe: Probe{URL: "off"}, Dialer: &dial.Dialer{
			Resolver: fixedNames{"smtp.provider-a.example": "198.51.100.25", "pop.provider-a.example": "198.51.100.110"}}})
		if r.Verdict != tc.want {
			t.Errorf("verdict %s, want %s: %+v", r.Verdict, tc.want, r.Checks)
		}
		(&clinic{t: t}).checkPart(r, tc.check, tc.part)
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "unshare", "-n", exe, "-test.run", "^TestNamespaces$", "-test.count=1")
			cmd.Env = append(os.Environ(), inNamespace+"="+name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, strings.TrimSpace(string(out)))
			}
		})
	}
}

// checkPart compares a part of one check's detail.
func (c *clinic) checkPart(r Report, name, part string) {
	c.t.Helper()
	for _, k := range r.Checks {
		if k.Name == name && strings.Contains(k.Detail, part) {
			return
		}
	}
	c.t.Errorf("check %s does not say %q: %+v", name, part, r.Checks)
}
