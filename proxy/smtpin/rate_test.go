package smtpin

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestMessagesOfOthersAreRationed: another user's messages are counted over all
// connections, and the person's own are not.
func TestMessagesOfOthersAreRationed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := bubble(t, Options{Limits: Limits{MessagesOther: 3}})
		connect := func(user string) *app {
			a := pipeAppOf(t, s, who{user: user, other: user != "me"})
			a.SetDeadline(time.Time{})
			a.cmd("EHLO x", "250-")
			return a
		}
		message := func(a *app, want string) {
			t.Helper()
			a.cmd("MAIL FROM:<a@b.example>", want)
			a.cmd("RSET", "250")
		}
		const slower = "450 4.7.1 Too many messages from eve"
		one, two := connect("eve"), connect("eve")
		for range 2 {
			message(one, "250")
		}
		message(two, "250")
		message(one, slower)
		message(two, slower)
		me, bob := connect("me"), connect("bob")
		for range 10 {
			message(me, "250")
		}
		message(bob, "250")
		time.Sleep(20 * time.Second)
		message(two, "250")
		message(one, slower)
		time.Sleep(time.Hour)
		later := connect("eve")
		for range 3 {
			message(later, "250")
		}
		message(later, slower)
	})
}

// TestRatesAreBounded: however many users there are, no more than some are
// remembered, and who was quiet is forgotten first.
func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rates
		for i := range maxRemembered - 1 {
			r.allow(fmt.Sprint("quiet", i), 1)
		}
		time.Sleep(time.Hour)
		if !r.allow("eve", 1) || r.allow("eve", 1) {
			t.Error("eve is not counted")
		}
		for i := range 10 {
			r.allow(fmt.Sprint("new", i), 1)
		}
		if r.allow("eve", 1) {
			t.Error("who was not quiet was forgotten")
		}
		for i := range 3 * maxRemembered {
			r.allow(fmt.Sprint("many", i), 1)
			if len(r.byUser) > maxRemembered {
				t.Fatalf("%d users are remembered", len(r.byUser))
			}
		}
	})
}
