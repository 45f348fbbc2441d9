package relay

import (
	"melon/upstream"
)

// Transaction is one message on its way. Rcpt and Data never block; the
// outcome is awaited on Done or on a recipient's Verdict. Its methods are safe
// for concurrent use.
type Transaction struct {
	done chan struct{}
	res  upstream.Result
}

// Verdict is one recipient's outcome at RCPT.
type Verdict struct {
	done chan struct{}
	res  upstream.RecipientResult
}

// Rcpt adds a recipient. The order of calls is the order of the envelope. After
// Data or the transaction's end the recipient's verdict is an error.
func (t *Transaction) Rcpt(rc upstream.Recipient) *Verdict { return &Verdict{} }

// Data ends the list of recipients and hands over the body, which is sent as
// it grows and read again from the start when another attempt is made. The
// body must stay readable until Done. The message goes to every recipient that
// was taken; a caller that wants nothing sent after a refusal cancels instead.
func (t *Transaction) Data(b upstream.Body) {}

// Cancel ends the transaction without sending the message: a body under way is
// cut so that it cannot be taken for whole. It has no effect after Done, and
// none on a message whose last byte has left. It does not wait.
func (t *Transaction) Cancel() {}

// Done is closed when the outcome is known.
func (t *Transaction) Done() <-chan struct{} { return t.done }

// Result waits for Done and returns the outcome. Its Recipients are what counts
// for each recipient in the end.
func (t *Transaction) Result() upstream.Result { <-t.done; return t.res }

// Done is closed when the recipient's verdict is known: the provider's answer
// to RCPT, or the reason why there is none.
func (v *Verdict) Done() <-chan struct{} { return v.done }

// Result waits for Done and returns the verdict. Err is nil when the provider
// took the recipient; the message itself may still be refused at its end.
func (v *Verdict) Result() upstream.RecipientResult { <-v.done; return v.res }
