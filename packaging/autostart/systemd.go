package autostart

import (
	"fmt"
	"strings"
)

// Plan is what shall start at login.
type Plan struct {
	Melon string `json:"melon"`          // the program, an absolute path
	Tray  string `json:"tray,omitempty"` // melon-tray, an absolute path; "" for none
	// Flags are global flags, such as --config FILE.
	Flags []string `json:"flags,omitempty"`
	// Listen are the addresses that systemd opens for Melon, like
	// 127.0.0.1:2525: socket activation. None: Melon opens its own, at login.
	Listen []string `json:"listen,omitempty"`
}

// mark is in every file of ours.
const mark = "Written by `melon autostart`; `melon autostart off` removes it."

// The names of the units.
const (
	unitService = "melon.service"
	unitSocket  = "melon.socket"
	unitTray    = "melon-tray.service"
)

// Service is the user unit of the relay. It waits for nothing: Melon starts
// without a network and with a locked keyring.
//
// It is as tight as works everywhere, for the command that yields a password as
// well. What needs a mount namespace (ProtectSystem and its like) needs a user
// namespace in a user's manager, which some systems refuse: the unit would not
// start. MemoryDenyWriteExecute would break password commands with a just-in-time
// compiler, a filter of @resources gpg, which turns its core dumps off.
func (p Plan) Service() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n[Unit]\nDescription=Melon, a local mail relay\nDocumentation=man:melon(1)\n", p.record())
	if len(p.Listen) > 0 {
		fmt.Fprintf(&b, "Requires=%s\nAfter=%s\n", unitSocket, unitSocket)
	}
	fmt.Fprintf(&b, "\n[Service]\nType=exec\nExecStart=%s\nExecReload=kill -HUP $MAINPID\n", execLine(p.Melon, p.Flags, "run"))
	b.WriteString(`Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
TimeoutStopSec=20
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077
`)
	if len(p.Listen) == 0 {
		b.WriteString("\n[Install]\nWantedBy=default.target\n")
	}
	return b.String()
}

// Socket is the unit that opens the addresses and starts the relay at the first
// connection.
func (p Plan) Socket() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n[Unit]\nDescription=Melon, a local mail relay: its addresses\nDocumentation=man:melon(1)\n\n[Socket]\n", p.record())
	for _, a := range p.Listen {
		fmt.Fprintf(&b, "ListenStream=%s\n", a)
	}
	b.WriteString("BindIPv6Only=ipv6-only\nFileDescriptorName=smtp\n\n[Install]\nWantedBy=sockets.target\n")
	return b.String()
}

// TrayService is the unit of the icon. It ends with the desktop and is started
// again when it fails; what it started lives on (KillMode).
func (p Plan) TrayService() string {
	return fmt.Sprintf(`# %s
[Unit]
Description=Melon's icon in the panel
Documentation=man:melon-tray(1)
PartOf=graphical-session.target
After=graphical-session.target
Wants=%s
After=%s

[Service]
Type=exec
ExecStart=%s
Restart=on-failure
RestartSec=5
KillMode=process

[Install]
WantedBy=graphical-session.target
`, p.record(), p.unit(), p.unit(), execLine(p.Tray, p.Flags))
}

// unit is the one that a login starts.
func (p Plan) unit() string {
	if len(p.Listen) > 0 {
		return unitSocket
	}
	return unitService
}

// execLine is a command line for ExecStart (systemd.service(5), "Command lines"):
// each word quoted, with what systemd would expand doubled.
func execLine(program string, words ...any) string {
	all := []string{program}
	for _, w := range words {
		switch w := w.(type) {
		case string:
			all = append(all, w)
		case []string:
			all = append(all, w...)
		}
	}
	for i, w := range all {
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`).Replace(w)
		if i > 0 { // no variables in the program's own path
			w = strings.ReplaceAll(w, "$", "$$")
		}
		if strings.ContainsAny(w, " \t\"\\';$") || w == "" {
			w = `"` + w + `"`
		}
		all[i] = w
	}
	return strings.Join(all, " ")
}
