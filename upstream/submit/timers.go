package submit

import (
	"net"
	"time"
)

// timers bound what one conversation waits for. They are made once, as every
// message sets them several times. One goroutine uses them.
type timers struct {
	cut   *time.Timer   // closes the connection
	isCut chan struct{} // has one when it did
	reply *time.Timer
}

// init makes the timers of a conversation on conn; none is running.
func (t *timers) init(conn net.Conn) {
	t.isCut = make(chan struct{}, 1)
	t.cut = time.AfterFunc(time.Hour, func() {
		conn.Close()
		t.isCut <- struct{}{}
	})
	t.cut.Stop()
	t.reply = time.NewTimer(time.Hour)
	t.reply.Stop()
}

// bound closes the connection after d, unless unbound is called before.
func (t *timers) bound(d time.Duration) { t.cut.Reset(d) }

// unbound ends what bound began, and reports whether it came in time.
func (t *timers) unbound() bool {
	if t.cut.Stop() {
		return true
	}
	<-t.isCut
	return false
}

// within returns a channel that is sent to after d, unless stop is called before.
func (t *timers) within(d time.Duration) <-chan time.Time {
	t.reply.Reset(d)
	return t.reply.C
}

func (t *timers) stop() { t.reply.Stop() }
