package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/sendmail"
)

const sendmailLong = `The sendmail(8) command line, for programs that want one: git send-email, mutt,
cron, PHP, Python. The message is read from standard input. A program that is
called "sendmail" (a link to melon) is this command; "mailq" is sendmail -bp.

The message goes to the running relay, and the exit status is the provider's
verdict. When no relay is running it is kept in the state directory, and the
next "melon run" sends it. All recipients get it or none: one that is refused
refuses the message.

  -t           recipients from To, Cc and Bcc, beside those given as arguments
  -i, -oi      a line with a single dot does not end the message
  -f, -r ADDR  envelope sender; "" or <> for none. Without: the header From if
               an account claims it, else the default account's address
  -F NAME      name for a From header that is added
  -N WHEN      never, or a list of success, failure, delay (DSN)
  -R full|hdrs what a DSN returns     -V ID  envelope identifier of a DSN
  -O, -o       IgnoreDots (i); other options are ignored
  -bs          speak SMTP on standard input and output
  -bp          list the messages that wait       -q  try to send them now
  -v           say what the relay answered

Other options of sendmail(8) are accepted and ignored. Missing From, Date and
Message-ID are added, Bcc is taken out, line ends become CRLF. A recipient
without a domain is somebody on this machine: mail to root or to yourself goes
to the default account's address. Global flags stand before the word sendmail.

Exit status, of sysexits.h: 0 sent or kept; 64 usage; 65 a message or an address
that cannot be read; 67 unknown recipient; 68 unknown domain; 69 refused; 73
cannot be kept; 75 try again; 77 no permission to send; 78 configuration.`

func (c *cli) sendmailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "sendmail [OPTION…] [ADDRESS…]",
		Long: sendmailLong,
		Example: `  melon sendmail -t < message.eml
  git config --global sendemail.sendmailCmd "melon sendmail -i"`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := sendmail.Parse(args)
		switch {
		case err != nil:
			return sysexit(err)
		case o.Help:
			return cmd.Help()
		}
		p, err := c.paths()
		if err != nil {
			return &failure{sendmail.ExConfig, err}
		}
		call := sendmail.Call{Stdin: c.stdin, Stdout: c.stdout, Stderr: c.stderr, Paths: p, Sockets: c.relaySockets(p), List: listEntries}
		return sysexit(call.Run(cmd.Context(), o))
	}
	return cmd
}

// sysexit is the failure with sendmail's own exit status.
func sysexit(err error) error {
	if e, ok := errors.AsType[*sendmail.Error](err); ok {
		return &failure{e.Status, e}
	}
	return err
}

// relaySockets are the places where a relay of this user may answer. A program
// that cron starts does not know the runtime directory, so that more than the
// usual one are named.
func (c *cli) relaySockets(p config.Paths) []string {
	sockets := []string{p.Socket}
	if c.flags.State != "" {
		return sockets
	}
	if runtime.GOOS == "linux" && c.getenv("XDG_RUNTIME_DIR") == "" {
		sockets = append(sockets, fmt.Sprintf("/run/user/%d/melon/control.sock", os.Getuid()))
	}
	return append(sockets, filepath.Join(p.State, "control.sock"))
}

// protectSendmail keeps everything behind the word sendmail from being taken
// for flags of Melon's.
func protectSendmail(args []string) []string {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--config" || a == "--state" || a == "--lang":
			i++
		case a == "sendmail":
			return slices.Insert(slices.Clone(args), i+1, "--")
		case !strings.HasPrefix(a, "--"):
			return args
		}
	}
	return args
}

// asNamed returns the command line for the name that the program was called by:
// through a link named sendmail, mailq or newaliases it is sendmail(8).
func asNamed(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	args := argv[1:]
	switch strings.TrimSuffix(filepath.Base(argv[0]), ".exe") {
	case "sendmail":
		return append([]string{"sendmail"}, args...)
	case "mailq":
		return append([]string{"sendmail", "-bp"}, args...)
	case "newaliases":
		return append([]string{"sendmail", "-bi"}, args...)
	}
	return args
}
