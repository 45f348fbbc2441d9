package sendmail

import (
	"cmp"
	"context"
	"io"
	"net"
	"time"

	"melon/proxy/smtpin"
)

// shutdownTime bounds the end of the listener that -bs starts.
const shutdownTime = 8 * time.Second

// speakSMTP speaks SMTP on standard input and output: the relay's own, or
// that of a listener which keeps messages for the next relay.
func (c *Call) speakSMTP(ctx context.Context, r *relay) error {
	if r != nil && r.plainAddress() != "" {
		return c.pipeSMTP(ctx, r.plainAddress())
	}
	s, err := smtpin.New(smtpin.Options{Handler: dropHandler{c.Paths.State}, Listen: smtpin.Listen{SMTP: []string{"127.0.0.1:0"}, StateDir: c.Paths.State}})
	if err != nil {
		return err
	}
	s.Start()
	err = c.pipeSMTP(ctx, s.Addresses()[0].Addr)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err = cmp.Or(err, s.Shutdown(end)); err != nil {
		return err
	}
	if left, lerr := dropped(c.Paths.State); lerr != nil || len(left) == 0 {
		return lerr
	}
	return c.tellDropped(ctx)
}

// pipeSMTP joins standard input and output to a listener until the listener
// ends the conversation, as it does after QUIT and when the input ends. A read
// of standard input that is under way then ends with the process.
func (c *Call) pipeSMTP(ctx context.Context, addr string) error {
	raw, err := (&net.Dialer{Timeout: submitStep}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	go func() {
		_, _ = io.Copy(raw, c.Stdin)
		if t, ok := raw.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
	}()
	_, err = io.Copy(c.Stdout, raw)
	return err
}
