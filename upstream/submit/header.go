package submit

import (
	"bufio"
	"context"
	"io"

	"melon/upstream"
)

// maxHeaderScan bounds how much of a header is looked at for 8-bit octets.
const maxHeaderScan = 1 << 20

// headerIsASCII reports whether the header of a message holds no 8-bit octets,
// so that a message whose app declared SMTPUTF8 without need can go to a server
// that lacks it (RFC 6531 section 3.2). It waits for the header to be complete;
// ctx ends the wait.
func headerIsASCII(ctx context.Context, b upstream.Body) (bool, error) {
	r, err := b.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	defer context.AfterFunc(ctx, func() { r.Close() })()
	in := bufio.NewReader(io.LimitReader(r, maxHeaderScan))
	for empty := true; ; {
		c, err := in.ReadByte()
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, err
		case c >= 0x80:
			return false, nil
		case c == '\n' && empty:
			return true, nil
		case c == '\n':
			empty = true
		case c != '\r':
			empty = false
		}
	}
}

// needsUTF8 stops a message whose header needs SMTPUTF8 at a server without it.
// It returns true when nothing may be sent.
func (x *Exchange) needsUTF8() bool {
	if !x.env.SMTPUTF8 || x.c.caps.SMTPUTF8 || x.headerSeen {
		return false
	}
	ascii, err := headerIsASCII(x.ctx, x.body)
	switch {
	case err != nil:
		x.bodyFault(err)
	case !ascii:
		x.stop(x.c.local(upstream.PhaseData, 553, upstream.EnhancedCode{5, 6, 7}, "The mail server does not take internationalized headers (SMTPUTF8)."))
	}
	x.headerSeen = true
	return x.halt != nil || x.over
}
