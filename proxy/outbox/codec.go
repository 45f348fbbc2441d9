package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"melon/upstream"
)

// stateVersion is the version of ID.json that this package writes.
const stateVersion = 1

// maxStateFile bounds, in octets, what is read of one ID.json.
const maxStateFile = 16 << 20

// header is the part of ID.json that the index needs; the rest is skipped when
// the outbox is opened.
type header struct {
	Version     int          `json:"version"`
	ID          string       `json:"id"`
	Account     string       `json:"account"`
	State       State        `json:"state"`
	Cause       cause        `json:"cause,omitempty"` // of attention
	QueuedAt    time.Time    `json:"queued_at"`
	Since       time.Time    `json:"since,omitzero"` // expiry counts from here when set
	Size        int64        `json:"size"`
	Attempts    int          `json:"attempts"`
	Step        int          `json:"step,omitempty"`
	NextAttempt time.Time    `json:"next_attempt,omitzero"`
	Batch       string       `json:"batch,omitempty"`
	Maybe       bool         `json:"maybe,omitempty"` // an earlier attempt may have arrived
	Bounce      bool         `json:"bounce,omitempty"`
	Fingerprint string       `json:"fingerprint"`
	LastError   *storedError `json:"last_error,omitempty"`
}

// stored is ID.json.
type stored struct {
	header
	LastAttempt time.Time         `json:"last_attempt,omitzero"`
	From        string            `json:"from"`
	To          []storedRecipient `json:"to"`
	Body        upstream.BodyType `json:"body,omitempty"`
	SMTPUTF8    bool              `json:"smtputf8,omitempty"`
	Return      string            `json:"ret,omitempty"`
	EnvelopeID  string            `json:"envid,omitempty"`
	Refused     []storedRefusal   `json:"refused,omitempty"`
	Bounced     []string          `json:"bounced,omitempty"`
}

// storedRecipient is an upstream.Recipient with the names that the file uses; the
// fields and their order must stay the same, as one is converted to the other.
type storedRecipient struct {
	Address      string   `json:"address"`
	Notify       []string `json:"notify,omitempty"`
	OriginalType string   `json:"orcpt_type,omitempty"`
	Original     string   `json:"orcpt,omitempty"`
}

// storedRefusal is a Refusal.
type storedRefusal struct {
	Recipient storedRecipient `json:"recipient"`
	Error     *storedError    `json:"error"`
}

// storedError is an upstream.Error without its cause, which is for logs alone.
type storedError struct {
	Account   string         `json:"account,omitempty"`
	Host      string         `json:"host,omitempty"`
	Phase     upstream.Phase `json:"phase"`
	Class     upstream.Class `json:"class"`
	Code      int            `json:"code"`
	Enhanced  string         `json:"enhanced,omitempty"`
	Lines     []string       `json:"lines,omitempty"`
	Sentence  string         `json:"sentence,omitempty"`
	Ambiguous bool           `json:"ambiguous,omitempty"`
}

// encode returns the entry as ID.json: indented, as people look at it when
// something went wrong, and with times in RFC 3339.
func encode(e Entry) ([]byte, error) {
	data, err := json.MarshalIndent(storedOf(e), "", " ")
	return append(data, '\n'), err
}

// storedOf returns what is stored of an entry.
func storedOf(e Entry) *stored {
	s := &stored{
		header: header{
			Version: stateVersion, ID: e.ID, Account: e.Account, State: e.State, Cause: e.record.cause,
			QueuedAt: e.QueuedAt, Since: e.record.since, Size: e.Size, Attempts: e.Attempts,
			Step: e.record.step, NextAttempt: e.NextAttempt, Batch: e.record.batch, Maybe: e.record.maybe,
			Bounce: e.Bounce, Fingerprint: e.Fingerprint, LastError: storeErr(e.LastError),
		},
		LastAttempt: e.LastAttempt,
		From:        e.Envelope.From,
		Body:        e.Envelope.Body,
		SMTPUTF8:    e.Envelope.SMTPUTF8,
		Return:      e.Envelope.Return,
		EnvelopeID:  e.Envelope.EnvelopeID,
		Bounced:     e.record.bounced,
	}
	for _, r := range e.Envelope.Recipients {
		s.To = append(s.To, storedRecipient(r))
	}
	for _, r := range e.Refused {
		s.Refused = append(s.Refused, storedRefusal{storedRecipient(r.Recipient), storeErr(r.Err)})
	}
	return s
}

// decode reads ID.json. It returns ErrNewerState for what a newer version wrote,
// and another error for what is no state of that entry.
func decode(id string, data []byte) (Entry, error) {
	var s stored
	base, added := split(data)
	if err := json.Unmarshal(base, &s); err != nil {
		return Entry{}, err
	}
	for line := range bytes.Lines(added) {
		s.attempt(line, &s.LastAttempt)
	}
	if err := s.check(id); err != nil {
		return Entry{}, err
	}
	e := Entry{
		ID: id, Account: s.Account, State: s.State, Size: s.Size, QueuedAt: s.QueuedAt,
		Attempts: s.Attempts, LastAttempt: s.LastAttempt, NextAttempt: s.NextAttempt,
		LastError: s.LastError.load(), Bounce: s.Bounce, Fingerprint: s.Fingerprint,
		Envelope: upstream.Envelope{
			From: s.From, Body: s.Body, SMTPUTF8: s.SMTPUTF8, Size: s.Size,
			Return: s.Return, EnvelopeID: s.EnvelopeID,
		},
		record: bookkeeping{
			step: s.Step, batch: s.Batch, bounced: s.Bounced, cause: s.Cause, since: s.Since, maybe: s.Maybe,
		},
	}
	for _, r := range s.To {
		e.Envelope.Recipients = append(e.Envelope.Recipients, upstream.Recipient(r))
	}
	for _, r := range s.Refused {
		e.Refused = append(e.Refused, Refusal{upstream.Recipient(r.Recipient), r.Error.load()})
	}
	return e, nil
}

// decodeHeader reads what the index needs, at a fraction of what decode costs;
// its errors are those of decode.
func decodeHeader(id string, data []byte) (header, error) {
	var h header
	var last time.Time
	base, added := split(data)
	if err := json.Unmarshal(base, &h); err != nil {
		return header{}, err
	}
	for line := range bytes.Lines(added) {
		h.attempt(line, &last)
	}
	return h, h.check(id)
}

// attempt is what recording an attempt changes in a state. It is one line behind
// the state proper, as a line is made durable by one sync of one file where a new
// ID.json takes a file, a rename and a sync of the directory more.
type attempt struct {
	State       State     `json:"state"`
	Attempts    int       `json:"attempts"`
	Step        int       `json:"step"`
	LastAttempt time.Time `json:"last_attempt"`
	NextAttempt time.Time `json:"next_attempt"`
	Batch       string    `json:"batch"`
}

// attemptOf returns what recording an attempt stores of an entry.
func attemptOf(e Entry) attempt {
	return attempt{e.State, e.Attempts, e.record.step, e.LastAttempt, e.NextAttempt, e.record.batch}
}

// attempted takes over a recorded attempt.
func (e *Entry) attempted(a attempt) {
	e.State, e.Attempts, e.record.step, e.record.cause = a.State, a.Attempts, a.Step, ""
	e.LastAttempt, e.NextAttempt, e.record.batch = a.LastAttempt, a.NextAttempt, a.Batch
}

// encodeAttempt returns the line that records the attempt. It begins with the end
// of the line before, which a crash may have cut short.
func encodeAttempt(e Entry) ([]byte, error) {
	line, err := json.Marshal(attemptOf(e))
	return append(append([]byte{'\n'}, line...), '\n'), err
}

// attempt takes over one line of encodeAttempt. A line that is none was cut short
// by a crash: the state before it stands, as the attempt was never made.
func (h *header) attempt(line []byte, last *time.Time) {
	var a attempt
	if json.Unmarshal(line, &a) != nil || !a.State.Valid() {
		return
	}
	h.State, h.Attempts, h.Step, h.NextAttempt, h.Batch = a.State, a.Attempts, a.Step, a.NextAttempt, a.Batch
	h.Cause = ""
	*last = a.LastAttempt
}

// split takes the state proper and the attempts behind it apart. The state is
// indented, so that its last line alone is a closing brace.
func split(data []byte) (base, added []byte) {
	if i := bytes.Index(data, []byte("\n}\n")); i >= 0 {
		return data[:i+3], data[i+3:]
	}
	return data, nil
}

// check refuses what cannot be an entry of that ID.
func (h *header) check(id string) error {
	switch {
	case h.Version > stateVersion:
		return ErrNewerState
	case h.Version < 1:
		return fmt.Errorf("version %d", h.Version)
	case h.ID != id:
		return fmt.Errorf("it holds the state of %q", h.ID)
	case !h.State.Valid():
		return fmt.Errorf("unknown state %q", h.State)
	}
	return nil
}

// storeErr is the stored form of e, nil for nil.
func storeErr(e *upstream.Error) *storedError {
	if e == nil {
		return nil
	}
	return &storedError{
		Account: e.Account, Host: e.Host, Phase: e.Phase, Class: e.Class,
		Code: e.Reply.Code, Enhanced: e.Reply.Enhanced.String(), Lines: e.Reply.Lines,
		Sentence: e.Sentence, Ambiguous: e.Ambiguous,
	}
}

// load is the opposite of storeErr. The error's Kind is what it was, as it
// depends on stored fields alone.
func (s *storedError) load() *upstream.Error {
	if s == nil {
		return nil
	}
	return &upstream.Error{
		Account: s.Account, Host: s.Host, Phase: s.Phase, Class: s.Class,
		Reply:    upstream.Reply{Code: s.Code, Enhanced: parseEnhanced(s.Enhanced), Lines: s.Lines},
		Sentence: s.Sentence, Ambiguous: s.Ambiguous,
	}
}

// parseEnhanced reads "5.7.1"; anything else is no code.
func parseEnhanced(s string) (c upstream.EnhancedCode) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return upstream.EnhancedCode{}
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			return upstream.EnhancedCode{}
		}
		c[i] = n
	}
	return c
}
