package trace

import (
	"bytes"
	"fmt"
	"strings"
)

// pop3 reads a POP3 conversation (RFC 1939, with CAPA, SASL and pipelining).
type pop3 struct {
	t *Tracer
	// pending holds what the answers to come belong to, the oldest first; the
	// greeting is one of them.
	pending []answerKind
	spoken  bool // the client has said something

	auth       bool // between AUTH and its last answer
	x          exchange
	challenges int

	multi answerKind // the answer whose lines are coming in, or 0
	lines int64
	octet int64
}

// answerKind is what follows the +OK of a command.
type answerKind int

const (
	single   answerKind = iota // nothing
	shown                      // lines that may be shown: CAPA
	listed                     // lines that are counted: LIST, UIDL
	message                    // a message, of which only the size is told
	authDone                   // the end of an AUTH exchange
)

// maxPending bounds the memory for a client that never reads its answers. Past
// it nothing the server says is shown any more.
const maxPending = 1000

func newPOP3(t *Tracer) *pop3 { return &pop3{t: t, pending: []answerKind{single}} }

func (p *pop3) reset() { *p = pop3{t: p.t, spoken: true} }

func (p *pop3) close() {
	if p.multi != single {
		p.endMulti()
	}
}

// swallow never takes anything: a POP3 client sends no messages.
func (p *pop3) swallow([]byte) int { return 0 }

// popVerbs are the commands that are shown whole; none carries a secret.
var popVerbs = []string{
	"USER", "CAPA", "STLS", "NOOP", "STAT", "LIST", "UIDL", "RETR", "TOP",
	"DELE", "RSET", "QUIT", "LAST", "UTF8", "LANG",
}

func (p *pop3) clientLine(line []byte) {
	p.spoken = true
	if p.auth {
		p.t.secrets.answer(&p.x, line)
		p.t.emit(true, masked)
		return
	}
	word, args, _ := bytes.Cut(bytes.TrimLeft(line, " "), []byte{' '})
	verb := strings.ToUpper(string(word))
	kind := single
	switch {
	case verb == "PASS":
		p.t.secrets.add(args)
		p.t.emit(true, "PASS "+masked)
	case verb == "APOP":
		p.t.secrets.add(args)
		name, digest, two := bytes.Cut(bytes.TrimSpace(args), []byte{' '})
		if !two {
			name = nil
		}
		p.t.secrets.add(digest)
		p.t.show(true, bytes.Join([][]byte{[]byte("APOP"), name, []byte(masked)}, []byte{' '}))
	case verb == "AUTH" && len(bytes.TrimSpace(args)) == 0: // lists mechanisms on old servers
		p.t.emit(true, "AUTH")
		kind = shown
	case verb == "AUTH":
		var show string
		p.x, show = p.t.secrets.begin(args)
		p.auth, p.challenges = true, 0
		p.t.emit(true, show)
		kind = authDone
	case !known(verb, popVerbs):
		p.t.secrets.addUnknown(line)
		p.t.emit(true, masked)
	default:
		p.t.show(true, line)
		kind = kindOf(verb, len(bytes.TrimSpace(args)) > 0)
	}
	if len(p.pending) <= maxPending {
		p.pending = append(p.pending, kind)
	}
}

// kindOf says what a positive answer to verb brings.
func kindOf(verb string, args bool) answerKind {
	switch {
	case verb == "CAPA", verb == "LANG" && !args:
		return shown
	case (verb == "LIST" || verb == "UIDL") && !args:
		return listed
	case verb == "RETR", verb == "TOP":
		return message
	}
	return single
}

func (p *pop3) serverLine(line []byte) {
	if p.multi != single {
		p.multiLine(line)
		return
	}
	word, _, _ := bytes.Cut(line, []byte{' '})
	status := strings.ToUpper(string(word))
	switch {
	case status == "+OK" || status == "-ERR":
		p.t.show(false, line)
		p.answered(status == "+OK")
	case status == "+":
		p.challenges++
		p.t.emit(false, "+ "+masked)
	case !p.spoken:
		p.t.show(false, line)
	default: // no answer at all; it may be part of a message
		p.t.count(false, int64(len(line)))
	}
}

// answered takes the oldest pending answer.
func (p *pop3) answered(ok bool) {
	if len(p.pending) == 0 || len(p.pending) > maxPending {
		return
	}
	kind := p.pending[0]
	p.pending = p.pending[1:]
	switch {
	case kind == authDone:
		p.auth = false
		// Lines that the client sent without being asked are commands to a
		// server that has refused the exchange: each gets an answer.
		unasked := p.x.answers - p.challenges
		for ; unasked > 0 && !ok && len(p.pending) < maxPending; unasked-- {
			p.pending = append(p.pending, single)
		}
	case kind != single && ok:
		p.multi, p.lines, p.octet = kind, 0, 0
	}
}

// multiLine takes one line of a multi-line answer (RFC 1939 section 3).
func (p *pop3) multiLine(line []byte) {
	if string(line) == "." {
		p.endMulti()
		p.t.emit(false, ".")
		return
	}
	p.lines++
	p.octet += int64(len(line) + len("\r\n"))
	if p.multi == shown {
		p.t.show(false, line)
	}
}

func (p *pop3) endMulti() {
	switch p.multi {
	case listed:
		p.t.emit(false, fmt.Sprintf("<%d lines>", p.lines))
	case message:
		p.t.count(false, p.octet)
	}
	p.multi = single
}
