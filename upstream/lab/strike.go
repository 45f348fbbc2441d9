package lab

import (
	"net"
	"strings"
	"time"

	"melon/upstream"
)

// step carries out one command of a phase, under the fault that strikes it.
func (c *conn) step(phase upstream.Phase, do func() error) error {
	f := c.p.fault(c.proto, phase)
	if f == nil {
		return do()
	}
	if done, err := c.strike(f); done || err != nil {
		return err
	}
	c.fault = f
	mark := len(c.out)
	err := do()
	if c.fault == nil {
		return err // done by upgrade
	}
	c.fault = nil
	return c.spoil(f, mark, err)
}

// has reports whether the command in hand is struck by a fault of the kind.
func (c *conn) has(k Kind) bool { return c.fault != nil && c.fault.Kind == k }

// strike does those faults that act instead of the command. done is true when
// the command is dealt with.
func (c *conn) strike(f *Fault) (done bool, err error) {
	switch f.Kind {
	case Drop:
		if f.After > 0 {
			return false, nil // in the body
		}
		return true, errEnd
	case Reset:
		c.reset()
		return true, errEnd
	case Stall:
		if f.After > 0 {
			return false, nil
		}
		if err := c.flush(); err != nil {
			return true, err
		}
		return false, c.stall()
	case WrongReply:
		c.say(c.faultText(f, "550 5.0.0 No", "-ERR no")...)
		return true, nil
	case Early421:
		c.say(c.faultText(f, "421 4.3.2 Service shutting down", "-ERR [SYS/TEMP] shutting down")...)
		c.polite = true
		return true, errEnd
	case Garbage:
		c.say(c.faultText(f, "\x00\xff\x1b[2J garbage \x80", "\x00\xff\x1b[2J garbage \x80")...)
		return true, nil
	case EndlessLine:
		return true, c.endless(strings.Repeat("x", 4096), c.prefix(" "))
	case EndlessReply:
		return true, c.endless(c.prefix("-")+"AND-ON\r\n", "")
	}
	return false, nil
}

// prefix returns the beginning of a reply that says yes.
func (c *conn) prefix(sep string) string {
	if c.proto == POPProto {
		if sep == "-" {
			return ""
		}
		return "+OK "
	}
	return "250" + sep
}

// faultText returns a fault's lines, or the default of the protocol.
func (c *conn) faultText(f *Fault, smtp, pop string) []string {
	text := f.Text
	switch {
	case text != "":
	case c.proto == POPProto:
		text = pop
	default:
		text = smtp
	}
	return strings.Split(text, "\n")
}

// spoil does those faults that act on the reply, which begins at c.out[mark:]
// unless it has left.
func (c *conn) spoil(f *Fault, mark int, err error) error {
	mark = min(mark, len(c.out))
	switch f.Kind {
	case LostReply:
		c.answer.lose()
		c.out = c.out[:mark]
		c.flush()
		return errEnd
	case HalfReply:
		c.answer.lose()
		c.out = c.out[:mark+(len(c.out)-mark)/2]
		c.flush()
		return errEnd
	case SlowBytes:
		reply := append([]byte(nil), c.out[mark:]...)
		c.out = c.out[:mark]
		if e := c.flushBefore(); e != nil {
			return e
		}
		every := f.Every
		if every == 0 {
			every = 5 * time.Millisecond
		}
		for i := range reply {
			if i > 0 && !waitTimer(c.p.ctx, every) {
				return errEnd
			}
			if _, e := c.nc.Write(reply[i : i+1]); e != nil {
				return e
			}
		}
		c.answered()
	case SplitReply:
		rest := append([]byte(nil), c.out[mark+(len(c.out)-mark)/2:]...)
		c.out = c.out[:len(c.out)-len(rest)]
		if e := c.flushBefore(); e != nil {
			return e
		}
		c.out = append(c.out, rest...)
	case ExtraReply:
		c.say(c.faultText(f, "250 2.0.0 Ok", "+OK")...)
	case DropAfter:
		c.flush()
		return errEnd
	}
	return err
}

// endless writes first once and then text until the client leaves.
func (c *conn) endless(text, first string) error {
	c.out = append(c.out, first...)
	for {
		c.out = append(c.out, text...)
		if len(c.out) < 1024 {
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
}

// reset makes the connection's end a TCP reset.
func (c *conn) reset() {
	if tc, ok := c.raw.Conn.(*net.TCPConn); ok {
		tc.SetLinger(0)
		tc.Close()
	}
}
