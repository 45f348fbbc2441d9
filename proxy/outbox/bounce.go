package outbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"melon/upstream"
)

// maxBounceHeader bounds, in octets, the header that a bounce returns, and
// maxBounceMessage the message when RET=FULL asks for it.
const (
	maxBounceHeader  = 64 << 10
	maxBounceMessage = 1 << 20
)

// bounce keeps a delivery status notification (RFC 3464) for the sender of an
// entry, where one may go: to an address of the account's own, for recipients
// that did not opt out, never for a bounce. What fails here is logged only: the
// entry in attention is what counts.
func (o *Outbox) bounce(e Entry, refused []Refusal, r upstream.Result) {
	refused = slices.DeleteFunc(slices.Clone(refused), func(rf Refusal) bool { return !wantsFailure(rf.Recipient) })
	account := e.Account
	if r.Account != "" {
		account = r.Account
	}
	to := e.Envelope.From
	if e.Bounce || to == "" || len(refused) == 0 || !o.opts.Owns(account, to) {
		return
	}
	sp := o.NewSpool()
	defer sp.Discard()
	n := notice{
		entry: e, refused: refused, host: r.Host, hostname: o.opts.Hostname, now: o.now(),
		words: wordsFor(o.settings.Load().Language), advice: o.advice(refused[0].Err),
	}
	body, err := o.store.body(e)
	if err == nil {
		err = n.write(sp, body)
	}
	if err == nil {
		err = sp.Finish()
	}
	if err == nil {
		// The attempts' context may have ended; this takes no time.
		_, err = o.keep(context.Background(), sp, Entry{
			Account: e.Account, Bounce: true,
			Envelope: upstream.Envelope{
				From: o.account(account).BounceFrom, Body: n.bodyType, SMTPUTF8: !ascii(to),
				Recipients: []upstream.Recipient{{Address: to}},
			},
		}, KeepOptions{})
	}
	if err != nil {
		o.opts.Log.Error("outbox: no bounce could be made", "id", e.ID, "err", err)
	}
}

// advice is Melon's explanation of an error.
func (o *Outbox) advice(err *upstream.Error) string {
	if o.opts.Explain == nil || err == nil {
		return ""
	}
	return o.opts.Explain(err, o.settings.Load().Language)
}

// wantsFailure reports whether the sender wants to hear of a failure for this
// recipient (RFC 3461 section 4.1).
func wantsFailure(rc upstream.Recipient) bool {
	return rc.Notify == nil || slices.ContainsFunc(rc.Notify, func(n string) bool { return strings.EqualFold(n, "FAILURE") })
}

// notice is one bounce in the making: a multipart/report (RFC 6522) of a text for
// people, a status for programs and what is returned of the message.
type notice struct {
	entry    Entry
	refused  []Refusal
	host     string // the server that refused
	hostname string
	now      time.Time
	words    words
	advice   string
	bodyType upstream.BodyType // set by write
}

// write writes the whole message in canonical form. Its From is the account's own
// address, as providers refuse foreign ones; Melon is named beside it.
func (n *notice) write(w io.Writer, original upstream.Body) error {
	returned, full, err := n.original(original)
	if err != nil {
		return err
	}
	var h message.Header
	own := n.entry.Envelope.From
	h.SetContentType("multipart/report", map[string]string{"report-type": "delivery-status"})
	h.Set("MIME-Version", "1.0")
	h.Set("Auto-Submitted", "auto-replied") // RFC 3834 section 5
	if id := headerField(returned, "Message-Id"); id != "" && len(id) < 500 && ascii(id) {
		h.Set("References", id)
	}
	h.Set("Message-Id", fmt.Sprintf("<%s.bounce@%s>", n.entry.ID, own[strings.LastIndexByte(own, '@')+1:]))
	h.SetText("Subject", n.words.subject)
	h.Set("To", "<"+own+">")
	h.Set("From", "Melon <"+own+">")
	h.Set("Date", n.now.Format(time.RFC1123Z))
	mw, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	if err := n.writeText(mw); err != nil {
		return err
	}
	if err := n.writeStatus(mw); err != nil {
		return err
	}
	if err := n.writeOriginal(mw, returned, full); err != nil {
		return err
	}
	return mw.Close()
}

// writeText writes the part for people.
func (n *notice) writeText(mw *message.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", n.words.opening)
	for _, r := range n.refused {
		fmt.Fprintf(&b, "<%s>\n", r.Recipient.Address)
		if r.Err == nil {
			continue
		}
		if !r.Err.Reply.IsZero() {
			fmt.Fprintf(&b, "    %s\n", r.Err.Reply)
		} else if r.Err.Sentence != "" {
			fmt.Fprintf(&b, "    %s\n", r.Err.Sentence)
		}
	}
	if n.entry.record.cause == causeExpired {
		fmt.Fprintf(&b, "\n%s\n", n.words.expired)
	}
	if n.entry.record.maybe {
		fmt.Fprintf(&b, "\n%s\n", n.words.maybe)
	}
	if n.advice != "" {
		fmt.Fprintf(&b, "\n%s\n", n.advice)
	}
	fmt.Fprintf(&b, "\n"+n.words.closing+"\n", n.entry.ID)
	var h message.Header
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", n.words.encoding)
	return part(mw, h, []byte(strings.ReplaceAll(b.String(), "\n", "\r\n")))
}

// writeStatus writes the part for programs (RFC 3464 section 2). Beyond ASCII it is
// one of RFC 6533.
func (n *notice) writeStatus(mw *message.Writer) error {
	var b strings.Builder
	add := func(name, kind, value string) {
		if value = field(value); value != "" {
			fmt.Fprintf(&b, "%s: %s%s\r\n", name, kind, value)
		}
	}
	e := n.entry
	add("Reporting-MTA", "dns; ", n.hostname)
	add("Original-Envelope-Id", "", e.Envelope.EnvelopeID)
	add("Arrival-Date", "", e.QueuedAt.Format(time.RFC1123Z))
	for _, r := range n.refused {
		b.WriteString("\r\n")
		rc := r.Recipient
		add("Original-Recipient", field(rc.OriginalType)+"; ", rc.Original)
		kind := "rfc822; "
		if !ascii(rc.Address) {
			kind = "utf-8; " // RFC 6533 section 3
		}
		add("Final-Recipient", kind, rc.Address)
		add("Action", "", "failed")
		add("Status", "", n.status(r.Err))
		host := n.host
		if r.Err != nil && r.Err.Host != "" {
			host = r.Err.Host
		}
		if i := strings.LastIndexByte(host, ':'); i > 0 {
			add("Remote-MTA", "dns; ", host[:i])
		}
		if r.Err != nil && r.Err.Reply.Code != 0 {
			add("Diagnostic-Code", "smtp; ", r.Err.Reply.String())
		}
		if !e.LastAttempt.IsZero() {
			add("Last-Attempt-Date", "", e.LastAttempt.Format(time.RFC1123Z))
		}
	}
	var h message.Header
	h.Set("Content-Type", "message/delivery-status")
	if !ascii(b.String()) {
		h.Set("Content-Type", "message/global-delivery-status")
		h.Set("Content-Transfer-Encoding", "8bit")
		n.bodyType = upstream.Body8BitMIME
	}
	return part(mw, h, []byte(b.String()))
}

// status is the enhanced status code of a refusal (RFC 3463); it must not say
// "temporary" of what is final, but for a message that was given up (section
// 3.5, X.4.7).
func (n *notice) status(err *upstream.Error) string {
	switch {
	case n.entry.record.cause == causeExpired:
		return "4.4.7"
	case err != nil && err.Reply.Enhanced[0] == 5:
		return err.Reply.Enhanced.String()
	}
	return "5.0.0"
}

// writeOriginal writes what is returned of the message: as it came, never encoded
// (RFC 2046 section 5.2.1).
func (n *notice) writeOriginal(mw *message.Writer, returned []byte, full bool) error {
	var h message.Header
	h.Set("Content-Type", "text/rfc822-headers")
	if full {
		h.Set("Content-Type", "message/rfc822")
	}
	if !ascii(string(returned)) {
		h.Set("Content-Transfer-Encoding", "8bit")
		n.bodyType = upstream.Body8BitMIME
	}
	return part(mw, h, returned)
}

// original reads the header of the message, or all of it when RET=FULL asks for
// that and it is not too long.
func (n *notice) original(body upstream.Body) (data []byte, full bool, err error) {
	r, err := body.Open()
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	if size, _ := body.Size(); n.entry.Envelope.Return == "FULL" && size <= maxBounceMessage {
		data, err = io.ReadAll(r)
		return data, true, err
	}
	br := bufio.NewReader(io.LimitReader(r, maxBounceHeader))
	for {
		line, err := br.ReadBytes('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			break // the end of the header, or of what is returned of it
		}
		data = append(data, line...)
	}
	return data, false, nil
}

// part writes one part.
func part(mw *message.Writer, h message.Header, data []byte) error {
	w, err := mw.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// headerField finds a field's value on one line of a header; folded fields are cut
// at the fold, which is good enough for a Message-ID.
func headerField(header []byte, name string) string {
	for line := range bytes.Lines(header) {
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if k, v, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// field makes a value safe in a line of the status part.
func field(s string) string { return strings.TrimSpace(upstream.CleanLine(s)) }

// ascii reports whether s has no octet above 127.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
