package submit

import (
	"context"
	"time"

	"melon/upstream"
)

// handle takes one reply.
func (x *Exchange) handle(a answer) {
	phase := x.phase()
	s, err := x.c.take(a)
	switch {
	case err != nil && a.err == nil && a.raw.code == 421:
		// Unasked for: the server is closing (RFC 5321 section 3.8).
		if x.none() {
			x.stop(x.rcptErr)
		}
		x.stop(x.c.refused(phase, a.raw.clean()))
		x.over = true
		return
	case err != nil:
		x.broke(err)
		return
	}
	r := a.raw.clean()
	if r.Code == 421 {
		x.stop(x.c.refused(phase, r))
		x.over = true
		return
	}
	if r.Code/100 == 3 && s.phase != upstream.PhaseData {
		x.broke(errReply)
		return
	}
	x.reply(s, a, r)
	if x.c.botched && x.halt == nil && !x.over {
		x.broke(errReply) // more replies than commands
	}
}

// reply takes the reply to the command of step s.
func (x *Exchange) reply(s step, a answer, r upstream.Reply) {
	good := r.Code/100 == 2
	switch s.phase {
	case phaseReset:
		if !good {
			x.broke(errReply)
		}
	case upstream.PhaseMail:
		x.out.Answered = true
		if !good {
			x.c.dirty = false
			x.c.botched = x.c.botched || r.Code == 503 // the server is at another step than we are
			x.stop(x.c.refused(s.phase, r))
		}
	case upstream.PhaseRcpt:
		var e *upstream.Error
		if !good {
			e = x.c.refused(s.phase, r)
		}
		x.verdict(s.index, r, e)
	case upstream.PhaseData:
		x.dataReply(r)
	case phaseBlock:
		if !good {
			x.endRefused(x.c.refused(upstream.PhaseData, r))
		}
	case upstream.PhaseDataEnd:
		x.endReply(a, r)
	}
}

// verdict notes and hands on one recipient's answer.
func (x *Exchange) verdict(i int, r upstream.Reply, e *upstream.Error) {
	if x.halt != nil {
		return // what follows a refused MAIL says nothing about recipients
	}
	x.answered++
	if e == nil {
		x.out.Taken++
	} else {
		x.rcptErr = e
	}
	if !x.feed.Verdict(i, r, e) {
		x.out.Stopped = true
		if e == nil {
			e = &upstream.Error{Phase: upstream.PhaseRcpt, Sentence: "Sending was broken off.", Err: context.Canceled}
		}
		x.stop(e)
	}
	if x.none() && x.stage >= stageBody {
		x.stop(x.rcptErr)
	}
}

// dataReply takes the answer to DATA.
func (x *Exchange) dataReply(r upstream.Reply) {
	switch {
	case r.Code == 354 && x.halt == nil && !x.none():
		x.stage = stageGo
	case r.Code == 354:
		// The server waits for a body that is not to be sent. A lone dot could
		// be taken for an empty message: the line is cut.
		x.stop(x.rcptErr)
		x.c.botched = true
	case r.Code/100 == 2:
		x.broke(errReply)
	default:
		x.endRefused(x.c.refused(upstream.PhaseData, r))
	}
}

// endRefused notes a refusal of DATA, of a chunk or of the message. Where no
// recipient was taken it is only the consequence of that.
func (x *Exchange) endRefused(e *upstream.Error) {
	if x.none() {
		e = x.rcptErr
	}
	x.stop(e)
}

// endReply takes the answer to the end of the message.
func (x *Exchange) endReply(a answer, r upstream.Reply) {
	good := r.Code/100 == 2
	// After a refused chunk the server may hold the transaction open until RSET
	// (RFC 3030 section 2); the answer to a dot always ends it.
	x.c.dirty = !good && x.c.chunking()
	switch {
	case x.halt != nil:
	case !x.lastLeft:
		// An answer in the middle of the body: a refusal is one (the upload is
		// spared), anything else is nonsense. Either way the line is cut.
		x.c.botched = true
		if good {
			x.broke(errReply)
			return
		}
		x.endRefused(x.c.refused(upstream.PhaseData, r))
	case good && a.raw.extra():
		// More replies than commands: this one may have been meant for another
		// command, and what it says about the message is not certain.
		x.broke(errReply)
	case good:
		x.out.Reply = r
		x.over = true
	default:
		x.endRefused(x.c.refused(upstream.PhaseDataEnd, r))
	}
}

// harvest reads the replies that are already on their way after a write failed:
// a server that refuses and hangs up is to be heard.
func (x *Exchange) harvest() {
	c := x.c
	if c.expired {
		return
	}
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	for len(c.pending) > 0 && !x.over {
		if !c.asked {
			c.asked = true
			c.want <- struct{}{}
		}
		select {
		case a := <-c.got:
			if a.err != nil {
				c.asked = false
				return
			}
			x.handle(a)
		case <-timer.C:
			return
		}
	}
}
