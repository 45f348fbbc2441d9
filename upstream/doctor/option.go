package doctor

import (
	"io/fs"
	"net/url"
	"regexp"
	"strings"
)

// maxLease bounds how much of a lease file is looked at, in octets.
const maxLease = 256 << 10

// leaseFiles are where DHCP clients on Linux keep what a network announced. Some
// of them only root may read; elsewhere there are none.
func leaseFiles() []string {
	return []string{
		"run/systemd/netif/leases/*", // systemd-networkd
		"run/NetworkManager/devices/*",
		"var/lib/NetworkManager/*.lease",
		"var/lib/dhcp/*.leases", "var/lib/dhclient/*.leases", // dhclient: option 114 under its old name
	}
}

// portalLine finds the captive portal's address in any of these files.
var portalLine = regexp.MustCompile(`(?im)^\s*(?:option\s+)?(?:dhcp6?\.)?(?:CAPTIVE_PORTAL|captive-portal|v4-captive-portal|v6-captive-portal|default-url|captive_portal)\s*[=: ]\s*"?([^"\s;]+)"?;?\s*$`)

// announcedPortal returns the address of the portal's API that DHCP announced
// (RFC 8910 section 2), unrestricted, or "" when the system does not tell. Of
// several leases in one file the last is the latest.
func announcedPortal(system fs.FS) string {
	for _, pattern := range leaseFiles() {
		files, err := fs.Glob(system, pattern)
		if err != nil {
			continue
		}
		for _, name := range files {
			if info, err := fs.Stat(system, name); err != nil || !info.Mode().IsRegular() || info.Size() > maxLease {
				continue
			}
			b, err := fs.ReadFile(system, name)
			if err != nil {
				continue
			}
			all := portalLine.FindAllStringSubmatch(string(b), -1)
			if len(all) == 0 {
				continue
			}
			address := all[len(all)-1][1]
			if address == unrestricted {
				return address
			}
			// RFC 8910 section 2: the URI is that of an API, and https.
			if u, err := url.Parse(strings.TrimSpace(address)); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
				return address
			}
		}
	}
	return ""
}
