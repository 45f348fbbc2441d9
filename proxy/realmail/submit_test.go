//go:build realmail

package realmail

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/textproto"
	"time"
)

// submit is a plain mail app: it sends a message, whose lines end in CRLF, to
// the SMTP server at addr exactly as it is. A reply that refuses is a
// *textproto.Error.
func submit(ctx context.Context, addr, from, to string, message []byte) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(patience))
	c := textproto.NewConn(conn)
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	for _, step := range []struct {
		code    int
		command string
	}{
		{250, "EHLO laptop"},
		{250, fmt.Sprintf("MAIL FROM:<%s> BODY=8BITMIME", from)},
		{250, fmt.Sprintf("RCPT TO:<%s>", to)},
		{354, "DATA"},
	} {
		if err := c.PrintfLine("%s", step.command); err != nil {
			return err
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return err
		}
	}
	// A dot at the beginning of a line is doubled (RFC 5321 section 4.5.2).
	stuffed := bytes.ReplaceAll(append([]byte("\r\n"), message...), []byte("\r\n."), []byte("\r\n.."))[2:]
	if _, err := conn.Write(append(stuffed, ".\r\n"...)); err != nil {
		return err
	}
	if _, _, err := c.ReadResponse(250); err != nil {
		return err
	}
	return c.PrintfLine("QUIT")
}

// note is a small message.
func note(subject string) []byte {
	return fmt.Appendf(nil, "From: Taro <taro@pbs.example>\r\nSubject: %s\r\n\r\nhello\r\n", subject)
}
