package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// The exit statuses of sendmail(8), from sysexits.h.
const (
	exUsage       = 64 // the command line is wrong
	exDataErr     = 65 // the message cannot be read
	exNoUser      = 67 // the server does not know the recipient
	exNoHost      = 68 // the recipient's domain does not exist
	exUnavailable = 69 // refused for good, or nothing is running to ask
	exCantCreate  = 73 // the message can neither be sent nor kept
	exTempFail    = 75 // try again later
	exNoPerm      = 77 // the provider does not let this account send
	exConfig      = 78 // the configuration is wrong
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
		Use:   "sendmail [OPTION…] [ADDRESS…]",
		Short: "the sendmail(8) command line, for programs that want one",
		Long:  sendmailLong,
		Example: `  melon sendmail -t < message.eml
  git config --global sendemail.sendmailCmd "melon sendmail -i"`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := parseSendmail(args)
		switch {
		case err != nil:
			return &failure{exUsage, err}
		case o.help:
			return cmd.Help()
		}
		return sysexit(c.sendmail(cmd.Context(), o))
	}
	return cmd
}

// sysexit gives an error without an exit status of sysexits.h one of its own.
func sysexit(err error) error {
	f, ok := errors.AsType[*failure](err)
	switch {
	case err == nil || ok && f.status >= exUsage:
		return err
	case ok:
		return &failure{exConfig, f.err}
	}
	return &failure{exTempFail, err}
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

// sendmail carries out what the options ask for.
func (c *cli) sendmail(ctx context.Context, o sendmailOptions) error {
	p, err := c.paths()
	if err != nil {
		return err
	}
	relay := c.findRelay(ctx, p)
	if relay != nil {
		defer relay.Close()
	}
	switch o.mode {
	case 'i': // newaliases: there are none
		return nil
	case 'p':
		return c.mailq(ctx, p, relay)
	case 'q':
		if relay == nil {
			return &failure{exUnavailable, client.ErrNotRunning}
		}
		err := relay.Collect(ctx)
		_, sendErr := relay.Do(ctx, "send", nil)
		return errors.Join(err, sendErr)
	case 's':
		return c.sendmailSMTP(ctx, p, relay)
	}
	return c.sendmailMessage(ctx, o, p, relay)
}

// runningRelay is a running relay and what it said of itself.
type runningRelay struct {
	*client.Client
	status api.Status
}

// findRelay returns this user's running relay, or nil. A program that cron
// starts does not know the runtime directory, so that more places than the
// usual one are tried.
func (c *cli) findRelay(ctx context.Context, p config.Paths) *runningRelay {
	sockets := []string{p.Socket}
	if c.flags.State == "" {
		if runtime.GOOS == "linux" && c.getenv("XDG_RUNTIME_DIR") == "" {
			sockets = append(sockets, fmt.Sprintf("/run/user/%d/melon/control.sock", os.Getuid()))
		}
		sockets = append(sockets, filepath.Join(p.State, "control.sock"))
	}
	for _, s := range slices.Compact(sockets) {
		cl := client.New(s)
		if status, err := cl.Status(ctx); err == nil {
			return &runningRelay{cl, status}
		}
		cl.Close()
	}
	return nil
}

// plainAddress is the first listener that needs no TLS, or "".
func (r *runningRelay) plainAddress() string {
	for _, l := range r.status.Listeners {
		if l.Kind == "smtp" && config.Loopback(l.Address) {
			return l.Address
		}
	}
	return ""
}

// mailq lists what waits.
func (c *cli) mailq(ctx context.Context, p config.Paths, r *runningRelay) error {
	dropped, err := dropped(p.State)
	if err != nil {
		return err
	}
	for _, name := range dropped {
		fmt.Fprintf(c.stdout, "waits for melon run: %s\n", name)
	}
	if r == nil {
		return &failure{exUnavailable, client.ErrNotRunning}
	}
	entries, err := r.Outbox(ctx)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return listEntries(c.stdout, entries)
	}
	if len(dropped) == 0 {
		_, err = fmt.Fprintln(c.stdout, "Mail queue is empty")
	}
	return err
}
