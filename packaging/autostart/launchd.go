package autostart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// The labels of the agents, which are the names of their files as well.
const (
	labelMelon = "melon.relay"
	labelTray  = "melon.tray"
)

// AgentMelon is the LaunchAgent of the relay: at login, and again when it fails.
func (p Plan) AgentMelon() string {
	return p.agent(labelMelon, append(append([]string{p.Melon}, p.Flags...), "run"), "Background")
}

// AgentTray is that of the icon, which needs the desktop.
func (p Plan) AgentTray() string {
	return p.agent(labelTray, append([]string{p.Tray}, p.Flags...), "Interactive")
}

func (p Plan) agent(label string, args []string, process string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- %s -->
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>%s</string>
	<key>ProgramArguments</key>
	<array>
`, p.record(), label)
	for _, a := range args {
		fmt.Fprintf(&b, "\t\t<string>%s</string>\n", escaped(a))
	}
	fmt.Fprintf(&b, `	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>10</integer>
	<key>ProcessType</key>
	<string>%s</string>
</dict>
</plist>
`, process)
	return b.String()
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
