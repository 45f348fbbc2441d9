package man

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Options is what a page says of itself.
type Options struct {
	Version string
	Date    time.Time
	// Japanese says what a command does, by its path, such as "melon run".
	Japanese func(path string) string
}

// Pages returns every manual page by its file's name, such as "melon.1"; those in
// Japanese are below "ja/".
func Pages(root *cobra.Command, o Options) map[string][]byte {
	pages := map[string][]byte{
		"melon.1":      rootPage(root, o),
		"ja/melon.1":   rootPageJA(root, o),
		"melon.yaml.5": settingsPage(o),
		"melon-tray.1": trayPage(o),
	}
	for _, cmd := range shown(root) {
		pages[pageName(cmd)+".1"] = commandPage(cmd, o)
	}
	return pages
}

// shown are the commands that help lists, and help itself is none of them.
func shown(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, c)
		}
	}
	return all
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// rootPage is melon(1).
func rootPage(root *cobra.Command, o Options) []byte {
	p := newPage("melon", 1, o)
	p.section("Name")
	p.line("melon - " + root.Short)
	p.section("Synopsis")
	p.line("melon [--config FILE] [--state DIR] [--lang en|ja] COMMAND [ARGUMENT…]")
	p.section("Description")
	p.text(root.Long)
	p.section("Commands")
	for _, cmd := range shown(root) {
		p.item(strings.TrimPrefix(cmd.CommandPath(), "melon "), upper(cmd.Short)+fmt.Sprintf(". See %s(1).", pageName(cmd)))
	}
	p.section("Global options")
	p.line("Before or after the command; before the word sendmail.")
	p.flags(root.PersistentFlags())
	p.section("Exit status")
	p.item("0", "Done.")
	p.item("1", "It failed.")
	p.item("2", "The command line or the configuration is wrong.")
	p.item("3", "Nothing is running to talk to.")
	p.line("melon sendmail has those of sysexits.h instead.")
	p.section("Files")
	for _, f := range files {
		p.item(f[0], f[1])
	}
	p.section("Environment")
	for _, e := range environment {
		p.item(e[0], e[1])
	}
	p.seeAlso(root)
	return p.bytes()
}

// files says where things are.
var files = [][2]string{
	{"$XDG_CONFIG_HOME/melon/config.yaml", "The configuration, melon.yaml(5); ~/.config/melon/config.yaml when the variable is not set. macOS: ~/Library/Application Support/Melon/config.yaml. Windows: %APPDATA%\\Melon\\config.yaml."},
	{"$XDG_STATE_HOME/melon/", "State: the outbox with the messages that wait, the history, what was learned of servers and networks, sign-ins, Melon's own certificate; ~/.local/state/melon when the variable is not set. macOS: ~/Library/Application Support/Melon/state. Windows: %LOCALAPPDATA%\\Melon."},
	{"$XDG_STATE_HOME/melon/drop/", "What melon sendmail left while no relay was running; melon run collects it."},
	{"$XDG_RUNTIME_DIR/melon/control.sock", "The control socket; in the state directory when --state is given or there is no runtime directory."},
}

// environment are the variables that Melon looks at.
var environment = [][2]string{
	{"XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR, HOME", "Where things are; see FILES."},
	{"LC_ALL, LC_MESSAGES, LANG", "The language of what a person reads, unless --lang or the configuration names one: Japanese when the value begins with ja, else English."},
}

// commandPage is the page of a command and those below it.
func commandPage(cmd *cobra.Command, o Options) []byte {
	p := newPage(pageName(cmd), 1, o)
	p.section("Name")
	p.line(pageName(cmd) + " - " + cmd.Short)
	p.section("Synopsis")
	if below := shown(cmd); len(below) > 0 {
		for i, c := range below {
			if i > 0 {
				p.b.WriteString(".br\n")
			}
			p.line(synopsis(c))
		}
	} else {
		p.line(synopsis(cmd))
	}
	p.section("Description")
	p.text(description(cmd))
	p.details(cmd)
	for _, c := range shown(cmd) {
		p.section(synopsis(c))
		p.text(description(c))
		p.details(c)
	}
	p.seeAlso(cmd)
	return p.bytes()
}

// synopsis is the command's line of use.
func synopsis(cmd *cobra.Command) string {
	line := cmd.UseLine()
	if !hasFlags(cmd) {
		return strings.TrimSuffix(line, " [flags]")
	}
	if rest, ok := strings.CutSuffix(line, " [flags]"); ok {
		line = rest + " [OPTION…]"
	}
	return line
}

// hasFlags reports options of the command's own, beside --help.
func hasFlags(cmd *cobra.Command) (yes bool) {
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) { yes = yes || f.Name != "help" && !f.Hidden })
	return yes
}

func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return upper(cmd.Short) + "."
}

// details are a command's options and examples.
func (p *page) details(cmd *cobra.Command) {
	if hasFlags(cmd) {
		if below := cmd.Parent().HasParent(); !below {
			p.section("Options")
		}
		p.flags(cmd.NonInheritedFlags())
	}
	if cmd.Example != "" {
		p.section("Examples")
		p.verbatim(cmd.Example)
	}
}

func (p *page) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if value != "" && f.Value.Type() != "bool" {
			term += " " + value
		}
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		p.item(term, upper(usage)+".")
	})
}

func (p *page) seeAlso(cmd *cobra.Command) {
	p.section("See also")
	also := []string{"melon.yaml(5)"}
	if cmd.HasParent() {
		also = append([]string{"melon(1)"}, also...)
	} else {
		also = append(also, "melon-tray(1)")
		for _, c := range shown(cmd) {
			also = append(also, pageName(c)+"(1)")
		}
	}
	p.line(strings.Join(also, ", "))
}

func upper(s string) string {
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

// trayPage is melon-tray(1), a program without a command tree.
func trayPage(o Options) []byte {
	p := newPage("melon-tray", 1, o)
	p.section("Name")
	p.line("melon-tray - Melon's icon in the panel")
	p.section("Synopsis")
	p.line("melon-tray [--config FILE] [--state DIR] [--lang en|ja] [--melon FILE]")
	p.section("Description")
	p.text(`Shows what the relay does: idle, sending, messages that wait, offline, paused, or that something asks for your attention. Its
menu opens the web page, sends what waits, pauses and resumes, and starts Melon at login. It starts melon run when nothing
answers, and closing it stops no mail.`)
	p.section("Options")
	p.item("--config FILE, --state DIR, --lang en|ja", "For every melon command that it runs; see melon(1).")
	p.item("--melon FILE", "The melon program; default: the one beside melon-tray, else the one in PATH.")
	p.section("Exit status")
	p.item("0", "It was quit.")
	p.item("1", "There is no desktop, or it went away.")
	p.item("2", "The command line is wrong.")
	p.section("See also")
	p.line("melon(1), melon-autostart(1)")
	return p.bytes()
}
