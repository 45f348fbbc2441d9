package sendmail

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Options is a command line of sendmail(8), as Parse reads it.
type Options struct {
	Help bool // --help: nothing else is wanted

	mode       byte // 'm' send, 's' SMTP, 'p' list, 'q' send what waits, 'i' aliases
	fromHeader bool // -t
	ignoreDots bool // -i
	verbose    bool
	sender     *string // -f; nil when it was not given
	name       string  // -F
	notify     []string
	ret        string // "FULL", "HDRS" or ""
	envelopeID string
	to         []string
}

// optionLetters are the options of sendmail(8) as getopt(3) spells them; "*"
// marks one whose argument, if any, is attached.
const optionLetters = "A:B:C:D:F:GIL:M:N:O:Q:R:TUV:X:b:cd*e:f:h:il:mno:p:q*r:stvx"

// Parse reads a command line of sendmail(8). Options end at the first
// address, so that nothing that a stranger chose is taken for one. An error is
// an *Error.
func Parse(args []string) (Options, error) {
	o, err := parse(args)
	if err != nil {
		err = &Error{ExUsage, err}
	}
	return o, err
}

func parse(args []string) (Options, error) {
	o := Options{mode: 'm'}
	for len(args) > 0 {
		a := args[0]
		if a == "--help" {
			return Options{Help: true}, nil
		}
		if a == "--" {
			args = args[1:]
			break
		}
		if len(a) < 2 || a[0] != '-' {
			break
		}
		args = args[1:]
		for rest := a[1:]; rest != ""; {
			flag := rest[0]
			rest = rest[1:]
			kind, ok := flagKind(flag)
			if !ok {
				return o, fmt.Errorf("sendmail: there is no option -%c", flag)
			}
			value := ""
			switch {
			case kind == '*':
				value, rest = rest, ""
			case kind == ':' && rest != "":
				value, rest = rest, ""
			case kind == ':':
				if len(args) == 0 {
					return o, fmt.Errorf("sendmail: -%c needs an argument", flag)
				}
				value, args = args[0], args[1:]
			}
			if err := o.set(flag, value); err != nil {
				return o, err
			}
		}
	}
	o.to = args
	return o, o.check()
}

// flagKind says whether a flag takes an argument: ':' yes, '*' attached, 0 no.
func flagKind(flag byte) (kind byte, ok bool) {
	i := strings.IndexByte(optionLetters, flag)
	if i < 0 || flag == ':' || flag == '*' {
		return 0, false
	}
	if i+1 < len(optionLetters) && strings.IndexByte(":*", optionLetters[i+1]) >= 0 {
		kind = optionLetters[i+1]
	}
	return kind, true
}

func (o *Options) set(flag byte, value string) error {
	switch flag {
	case 't':
		o.fromHeader = true
	case 'i':
		o.ignoreDots = true
	case 'v':
		o.verbose = true
	case 'f', 'r':
		o.sender = &value
	case 'F':
		o.name = value
	case 'V':
		o.envelopeID = value
	case 'q':
		o.mode = 'q'
	case 'I':
		o.mode = 'i'
	case 'b':
		return o.setMode(value)
	case 'o':
		o.option(value[:min(1, len(value))], value[min(1, len(value)):])
	case 'O':
		name, v, _ := strings.Cut(value, "=")
		if strings.EqualFold(name, "IgnoreDots") {
			name = "i"
		}
		o.option(name, v)
	case 'N':
		return o.setNotify(value)
	case 'R':
		o.ret = strings.ToUpper(value)
		if o.ret == "HEADERS" {
			o.ret = "HDRS"
		}
		if o.ret != "FULL" && o.ret != "HDRS" {
			return fmt.Errorf("sendmail: -R %s: write full or hdrs", value)
		}
	}
	return nil
}

// option is one of sendmail's processing options; all but one are for a mail
// server.
func (o *Options) option(name, value string) {
	if name == "i" {
		o.ignoreDots = value == "" || strings.ContainsAny(value[:1], "tTyY1")
	}
}

func (o *Options) setMode(value string) error {
	switch value {
	case "m", "s", "p", "i":
		o.mode = value[0]
		return nil
	case "d", "D":
		return errors.New("sendmail: -b" + value + ": the relay is started with: melon run")
	}
	return fmt.Errorf("sendmail: -b%s is not done here", value)
}

func (o *Options) setNotify(value string) error {
	o.notify = strings.Split(strings.ToUpper(value), ",")
	for _, n := range o.notify {
		if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, n) || n == "NEVER" && len(o.notify) > 1 {
			return fmt.Errorf("sendmail: -N %s: write never, or a list of success, failure, delay", value)
		}
	}
	return nil
}

func (o *Options) check() error {
	if o.mode == 'm' && len(o.to) == 0 && !o.fromHeader {
		return errors.New("sendmail: no recipients: give addresses, or -t to take them from the header")
	}
	return nil
}
