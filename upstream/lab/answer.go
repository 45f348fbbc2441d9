package lab

// Answer is what the lab knows of its last reply to a message.
type Answer int

// The answers. Only AnswerRead proves that the client has it.
const (
	// AnswerNone: the reply never left whole, by a fault or because the
	// connection ended first.
	AnswerNone Answer = iota
	// AnswerSent: it left whole, and nothing came after it on the connection.
	AnswerSent
	// AnswerRead: the client went on with another command on the connection.
	AnswerRead
)

// String returns "none", "sent" or "read".
func (a Answer) String() string { return [...]string{"none", "sent", "read"}[a] }

// Answer returns what became of the reply to a message, by Message.ID.
func (p *Provider) Answer(message int) Answer {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return p.rec.answers[message]
}

// answering is the message whose reply a connection is about to send (waiting)
// or has sent (left); 0 is none.
type answering struct{ waiting, left int }

// lose takes back that the reply leaves whole.
func (a *answering) lose() { a.waiting = 0 }

// answered notes that all that was to be said has left.
func (c *conn) answered() {
	if c.answer.waiting > 0 {
		c.note(c.answer.waiting, AnswerSent)
		c.answer.left, c.answer.waiting = c.answer.waiting, 0
	}
}

// flushBefore is flush for what is said before the last of the reply.
func (c *conn) flushBefore() error {
	waiting := c.answer.waiting
	c.answer.waiting = 0
	err := c.flush()
	c.answer.waiting = waiting
	return err
}

// heard notes that the client went on.
func (c *conn) heard() {
	if c.answer.left > 0 {
		c.note(c.answer.left, AnswerRead)
		c.answer.left = 0
	}
}

func (c *conn) note(message int, a Answer) {
	c.p.rec.update(func() { c.p.rec.answers[message] = a })
}
