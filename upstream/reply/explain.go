package reply

import (
	"strings"
	"unicode/utf8"

	"melon/upstream"
)

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
	e, ok := find(class)
	if !ok {
		e, _ = find(upstream.ClassOther)
	}
	t := e.in(lang)
	return Explanation{Summary: t.summary, Advice: append([]string(nil), t.advice...), Retry: e.retry}
}

// find returns the row of class.
func find(class upstream.Class) (entry, bool) {
	for i := range explanations {
		if explanations[i].class == class {
			return explanations[i], true
		}
	}
	return entry{}, false
}

// in returns the column of lang, or the English one.
func (e entry) in(lang string) text {
	lang = strings.ToLower(lang)
	if i := strings.IndexAny(lang, "-_."); i >= 0 {
		lang = lang[:i]
	}
	if t, ok := e.text[lang]; ok {
		return t
	}
	return e.text["en"]
}

// Languages lists the columns of the table of explanations, English first.
func Languages() []string { return []string{"en", "ja"} }

// maxLine bounds, in characters, what Line returns.
const maxLine = 200

// Line returns the short explanation of e that is appended after the
// provider's own words for the mail app: the class's summary and, where it
// still fits, the first advice. It is one line of at most 200 characters, ASCII
// in English, and "" when there is nothing to add: no error, or a class that
// says no more than the provider did.
func Line(e *upstream.Error, lang string) string {
	if e == nil || e.Class == "" || e.Class == upstream.ClassOther || e.Class == upstream.ClassOK {
		return ""
	}
	x := Explain(e.Class, lang)
	line := x.Summary
	if len(x.Advice) > 0 {
		if longer := join(line, x.Advice[0]); utf8.RuneCountInString(longer) <= maxLine {
			line = longer
		}
	}
	return line
}

// join puts b after a: with a blank, unless a ends in a full stop of a script
// without blanks.
func join(a, b string) string {
	if strings.HasSuffix(a, "。") {
		return a + b
	}
	return a + " " + b
}
