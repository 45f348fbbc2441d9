//go:build realmail

package realmail

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Twenty messages at once to an account with POP before SMTP: one POP login,
// by the count of Dovecot's post-login script. Another inside the window: none. The provider forgets
// the address early: Melon is refused, logs in once, and the app sees only that
// the message went.
func TestRealWindow(t *testing.T) {
	t.Parallel()
	const messages = 20
	p := startProvider(t, providerOptions{domain: "pbs.example", pbs: true, noTLS: true})
	m := startMelon(t, pass, p.popBeforeSMTP("pbs", "taro"))
	from := "taro@" + p.domain
	ctx := within(t)
	p.wantPOPLogins(t, 0, "before there was mail to send")
	wantRefused(t, direct(ctx, p, "127.0.0.1", "hanako@elsewhere.example"))

	var wg sync.WaitGroup
	for i := range messages {
		wg.Go(func() {
			to := fmt.Sprintf("guest-%d@elsewhere.example", i)
			if err := submit(ctx, m.addr, from, to, note(to)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range messages {
		to := fmt.Sprintf("guest-%d@elsewhere.example", i)
		wantStored(t, p.mailbox.one(t, to), from, note(to))
	}
	p.wantPOPLogins(t, 1, fmt.Sprintf("for %d messages at once", messages))

	send := func(to string) {
		t.Helper()
		if err := submit(ctx, m.addr, from, to, note(to)); err != nil {
			t.Fatal(err)
		}
		wantStored(t, p.mailbox.one(t, to), from, note(to))
	}
	send("inside@elsewhere.example")
	p.wantPOPLogins(t, 1, "inside the window")
	p.passTime(t, "127.0.0.1", window+time.Minute)
	wantRefused(t, direct(ctx, p, "127.0.0.1", "hanako@elsewhere.example"))
	send("refused-first@elsewhere.example")
	p.wantPOPLogins(t, 2, "after a refusal")
}
