package reply

import "melon/upstream"

// The values of Explanation.Retry: what has to happen before another attempt
// makes sense.
const (
	RetryNever        = "never"           // not as it is: something has to be changed first
	RetryAfterPOP     = "after-pop-login" // right after a POP login from the same address
	RetryAfterAuth    = "after-auth"      // once logged in (again), by SMTP AUTH
	RetryLater        = "later"           // by itself, after a while
	RetryOtherAccount = "other-account"   // through another account or server
	RetryOtherPort    = "other-port"      // on another port or network
)

// Explanation is what a class means to a person.
type Explanation struct {
	Summary string   // one plain sentence
	Advice  []string // one thing to do first, then the next, down to the last resort
	Retry   string   // one of the Retry values
}

// Explain explains class in lang ("en" or "ja", also "ja-JP" and "ja_JP.UTF-8"; any other means
// English). It knows upstream.ReplyClasses and upstream.NetworkClasses; any
// other class is explained as "other".
func Explain(class upstream.Class, lang string) Explanation {
	return Explanation{Summary: string(class), Retry: RetryLater}
}

// Line returns the short explanation of e that is appended after the
// provider's own words for the mail app: one line of at most 200 characters,
// ASCII in English. It is "" when there is nothing to add.
func Line(e *upstream.Error, lang string) string {
	if e == nil {
		return ""
	}
	return Explain(e.Class, lang).Summary
}
