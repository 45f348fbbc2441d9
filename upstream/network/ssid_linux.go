package network

import (
	"net"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"melon/upstream"
)

// ssid asks nl80211 for the name of the Wi-Fi network that an interface is
// connected to. It is "" for other interfaces and whenever the kernel does not
// tell; no privileges are needed.
func ssid(name string) string {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return ""
	}
	c, err := genetlink.Dial(nil)
	if err != nil {
		return ""
	}
	defer c.Close()
	family, err := c.GetFamily(unix.NL80211_GENL_NAME)
	if err != nil {
		return "" // a machine without Wi-Fi
	}
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(i.Index))
	attrs, err := ae.Encode()
	if err != nil {
		return ""
	}
	answers, err := c.Execute(genetlink.Message{
		Header: genetlink.Header{Command: unix.NL80211_CMD_GET_INTERFACE, Version: family.Version},
		Data:   attrs,
	}, family.ID, netlink.Request)
	if err != nil {
		return ""
	}
	for _, a := range answers {
		if s := parseSSID(a.Data); s != "" {
			return s
		}
	}
	return ""
}

// parseSSID finds the name in the attributes of an nl80211 interface.
func parseSSID(attrs []byte) string {
	ad, err := netlink.NewAttributeDecoder(attrs)
	if err != nil {
		return ""
	}
	for ad.Next() {
		if ad.Type() == unix.NL80211_ATTR_SSID {
			return upstream.CleanLine(string(ad.Bytes())) // a stranger chose it
		}
	}
	return ""
}
