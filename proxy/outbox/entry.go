package outbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"melon/upstream"
)

// State is what becomes of an entry next. The values are stored and shown.
type State string

// The states of an entry.
const (
	// Waiting entries go on schedule.
	Waiting State = "waiting"
	// Sending entries are being sent at this moment.
	Sending State = "sending"
	// Attention entries wait for the person.
	Attention State = "attention"
	// Unconfirmed entries may have arrived: the provider's last reply was lost.
	// They are tried again with the same bytes.
	Unconfirmed State = "unconfirmed"
	// Held entries wait until they are released.
	Held State = "held"
)

// Valid reports whether s is one of the states.
func (s State) Valid() bool {
	switch s {
	case Waiting, Sending, Attention, Unconfirmed, Held:
		return true
	}
	return false
}

// Entry is one kept message: its envelope and what happened to it. It is a copy;
// changing it changes nothing in the outbox.
type Entry struct {
	ID string
	// Account is the name of the account that carries it, "" while there is
	// none. Its settings are those of the moment of sending.
	Account string
	// Envelope's recipients are those that are still to be served.
	Envelope upstream.Envelope
	// Refused are the recipients that the provider refused for good.
	Refused []Refusal
	State   State
	// Size is the length of the message in octets.
	Size     int64
	QueuedAt time.Time
	// Attempts counts the attempts so far, the live one included.
	Attempts    int
	LastAttempt time.Time // zero before the first
	NextAttempt time.Time // zero when none is planned
	LastError   *upstream.Error
	// Bounce is true for a bounce that the outbox made.
	Bounce bool
	// Fingerprint is equal for byte-identical mail between the same addresses.
	Fingerprint string
	// record holds what only the outbox needs.
	record bookkeeping
}

// bookkeeping is the part of an entry that is stored but not shown.
type bookkeeping struct {
	step    int       // how far in the list of retry delays
	batch   string    // first ID of the entries whose attempts were recorded together
	bounced []string  // recipients whose refusal was already bounced
	cause   cause     // why it asks for attention
	since   time.Time // expiry counts from here; zero: from QueuedAt
	maybe   bool      // an earlier attempt may have arrived
}

// cause says why an entry asks for attention, and so what ends that.
type cause string

// The causes. The person's decision ends each of them.
const (
	causeAccount cause = "account" // password, sign-in: the account makes no attempts; ends with its settings
	causeRelay   cause = "relay"   // relaying refused here: ends with the account's settings or another network
	causePerson  cause = "person"  // sender refused and the like: ends with the account's settings
	causeMessage cause = "message" // the message itself was refused
	causeExpired cause = "expired" // given up
)

// expirySince is when the time until expiry began.
func (e Entry) expirySince() time.Time {
	if !e.record.since.IsZero() {
		return e.record.since
	}
	return e.QueuedAt
}

// restore makes an entry that waited for the person ready for another attempt;
// expiry counts anew. Refused recipients are tried again: all, or those whose
// refusal was the person's to mend.
func (e *Entry) restore(now time.Time, all bool) {
	refused := e.Refused
	e.Refused = nil
	for _, r := range refused {
		if all || r.Err == nil || r.Err.Kind() == upstream.KindPerson {
			e.Envelope.Recipients = append(e.Envelope.Recipients, r.Recipient)
		} else {
			e.Refused = append(e.Refused, r)
		}
	}
	if e.record.cause == causeExpired {
		e.record.since = now
	}
	e.record.cause, e.record.step = "", 0
	e.NextAttempt = now
	e.State = e.waitState()
}

// waitState is the state of an entry that goes by itself.
func (e *Entry) waitState() State {
	if e.record.maybe {
		return Unconfirmed
	}
	return Waiting
}

// Refusal is one recipient that the provider refused for good.
type Refusal struct {
	Recipient upstream.Recipient
	Err       *upstream.Error
}

// To returns the addresses of all recipients that are not served: those to be
// tried again and those refused.
func (e Entry) To() []string {
	to := make([]string, 0, len(e.Envelope.Recipients)+len(e.Refused))
	for _, r := range e.Envelope.Recipients {
		to = append(to, r.Address)
	}
	for _, r := range e.Refused {
		to = append(to, r.Recipient.Address)
	}
	return to
}

// fingerprint combines the content's sum with sender and recipients, whatever
// the order in which these were named.
func fingerprint(content [sha256.Size]byte, env upstream.Envelope) string {
	to := make([]string, 0, len(env.Recipients))
	for _, r := range env.Recipients {
		to = append(to, r.Address)
	}
	slices.Sort(to)
	h := sha256.New()
	h.Write(content[:])
	for _, s := range append([]string{env.From}, to...) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// idAlphabet is Crockford's base 32: in order of its code points, no letters
// that look like digits.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength is the length of an ID: 50 bits of 16 µs each last for centuries.
const idLength = 10

// encodeID writes n as an ID; IDs sort as their numbers do.
func encodeID(n int64) string {
	var b [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		b[i] = idAlphabet[n&31]
		n >>= 5
	}
	return string(b[:])
}

// decodeID reads an ID; ok is false when s is none.
func decodeID(s string) (n int64, ok bool) {
	if len(s) != idLength {
		return 0, false
	}
	for i := range len(s) {
		d := strings.IndexByte(idAlphabet, s[i])
		if d < 0 {
			return 0, false
		}
		n = n<<5 | int64(d)
	}
	return n, true
}

// idNumber is the number of an ID made at time t.
func idNumber(t time.Time) int64 { return t.UnixMicro() / 16 & (1<<50 - 1) }
