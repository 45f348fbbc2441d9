package config

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// networks reads the named networks and returns the section, so that routes
// can tell a network with faults from one that is not there.
func (d *decoder) networks(n *yaml.Node, to *[]Network) section {
	return d.mapping(n, "networks", "hotel: {subnet: [10.20.0.0/16]}", func(e entry) {
		name, ok := d.text(e.key, "the name of a network")
		if !ok {
			return
		}
		if _, err := parseName(name); err != nil {
			d.fail(e.key, "the name of a network cannot be %s: %v", show(name), err)
			return
		}
		p := "networks." + name
		net := Network{Name: name}
		before := len(d.problems)
		d.section(e.val, p, []field{
			{"subnet", values(d, &net.Subnets, p+".subnet", "[10.20.0.0/16]", parseSubnet)},
			{"gateway", values(d, &net.Gateways, p+".gateway", "[10.20.0.1]", parseIP)},
			{"ssid", values(d, &net.SSIDs, p+".ssid", `["HKO*"]`, asIs)},
			{"interface", values(d, &net.Interfaces, p+".interface", `["wlan*"]`, asIs)},
		})
		marks := len(net.Subnets) + len(net.Gateways) + len(net.SSIDs) + len(net.Interfaces)
		if marks == 0 && len(d.problems) == before {
			d.fail(e.key, "%s says nothing to know the network by: add subnet, gateway, ssid or interface", p)
		}
		*to = append(*to, net)
	})
}

// routes reads the routes; accounts and networks are the names there are.
func (d *decoder) routes(n *yaml.Node, accounts []string, networks section) []Route {
	names := make([]string, 0, len(networks))
	for name := range networks {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []Route
	d.list(n, "routes", `[{from: "*@work.example", account: work}]`, func(item *yaml.Node) {
		var r Route
		before := len(d.problems)
		if isNull(item) {
			d.fail(item, "this route is empty: write {from: PATTERN, account: NAME}, or take it out")
			return
		}
		s := d.section(item, "routes", []field{
			{"from", value(d, &r.From, "routes.from", parsePattern)},
			{"to", value(d, &r.To, "routes.to", parsePattern)},
			{"network", value(d, &r.Network, "routes.network", asIs)},
			{"account", value(d, &r.Account, "routes.account", asIs)},
		})
		if r.Account != "" {
			r.Account = d.known(s.at("account", item), "routes.account", r.Account, "account", accounts)
		}
		if r.Network != "" {
			r.Network = d.known(s.at("network", item), "routes.network", r.Network, "network", names)
		}
		if item.Kind == yaml.MappingNode {
			if !s.has("account") {
				d.fail(item, "this route names no account: add account: NAME")
			}
			if !s.has("from") && !s.has("to") && !s.has("network") {
				d.fail(item, "this route has nothing to match: add from, to or network, or use default: for everything else")
			}
		}
		if len(d.problems) == before {
			all = append(all, r)
		}
	})
	return all
}
