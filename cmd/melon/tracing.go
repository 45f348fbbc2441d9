package main

import (
	"context"
	"strconv"
	"strings"

	"melon/proxy/control/web"
	"melon/upstream/dial"
	"melon/upstream/trace"
)

// traceDial returns what receives the lines of conversations with providers, for
// the log and the page; nil when nobody wants them.
func (d *daemon) traceDial() func(dial.Target, trace.Line) {
	logged, traces := d.tracing()
	if !logged && traces == nil {
		return nil
	}
	return func(t dial.Target, l trace.Line) {
		if logged {
			d.log.Log(context.Background(), levelTrace, l.String(), "account", t.Account, "server", t.Server.Addr())
		}
		if traces == nil {
			return
		}
		kind := "SMTP"
		if t.Protocol == trace.POP3 {
			kind = "POP3"
		}
		peer := strings.TrimSpace(t.Account + " · " + kind + " · " + t.Server.Addr())
		traces.Add(strconv.FormatUint(t.Conn, 10), peer, t.Account, web.Line{Client: l.Client, Text: l.Text})
	}
}

// traceApp is traceDial for conversations with apps.
func (d *daemon) traceApp() func(conn string, l trace.Line) {
	logged, traces := d.tracing()
	if !logged && traces == nil {
		return nil
	}
	return func(conn string, l trace.Line) {
		if logged {
			d.log.Log(context.Background(), levelTrace, l.String(), "app", conn)
		}
		if traces != nil {
			traces.Add("app-"+conn, "app · "+conn, "", web.Line{Client: l.Client, Text: l.Text})
		}
	}
}

// tracing says who wants the lines.
func (d *daemon) tracing() (logged bool, traces *web.Traces) {
	return d.log.Enabled(context.Background(), levelTrace), d.web.traces
}
