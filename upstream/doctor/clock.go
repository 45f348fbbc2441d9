package doctor

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/mail"
	"regexp"
	"time"

	"melon/upstream"
)

const (
	clockSlack = 5 * time.Minute // nobody minds this much
	clockFar   = 24 * time.Hour  // certificates begin to mind
)

// dated is what somebody else's clock said, less what this machine's did.
type dated struct {
	source string
	offset time.Duration
}

// clockFinding is what the others' clocks tell about this one.
type clockFinding struct {
	told   bool // somebody said what time it is
	offset time.Duration
	wrong  bool // a certificate was refused because of it
	right  bool // a certificate was refused in spite of it
}

// mailDate finds a date as in mail (RFC 5322 section 3.3): many greetings have one.
var mailDate = regexp.MustCompile(`(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?[0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:[+-][0-9]{4}|GMT|UTC)`)

// heardDate notes the time in a Date header or a greeting, if there is one.
func (x *examination) heardDate(source, text string) {
	at, err := http.ParseTime(text)
	if err != nil {
		if at, err = mail.ParseDate(mailDate.FindString(text)); err != nil {
			return
		}
	}
	d := dated{source, at.Sub(x.o.Now())}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dates = append(x.dates, d)
}

// judgeClock compares the wall clock with the others'. One that agrees is enough:
// servers' clocks may be wrong too. A certificate that was refused for its time
// is this clock's fault when it is valid at the time that the others tell; when
// nobody tells, package dial's judgement stands.
func (x *examination) judgeClock() {
	start := time.Now()
	c := &x.clock
	source := ""
	for _, d := range x.dates {
		if !c.told || d.offset.Abs() < c.offset.Abs() {
			c.told, c.offset, source = true, d.offset, d.source
		}
	}
	off := c.offset.Abs() > clockSlack
	for _, f := range []*portFinding{&x.smtp, &x.pop} {
		if f.best == nil || f.best.fault == nil {
			continue
		}
		fault := f.best.fault
		var invalid x509.CertificateInvalidError
		refused := errors.As(fault.Err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil
		switch {
		case refused && c.told && off:
			truly := x.o.Now().Add(c.offset)
			c.wrong = c.wrong || !truly.Before(invalid.Cert.NotBefore) && !truly.After(invalid.Cert.NotAfter)
		case refused && c.told:
			c.right = true
		case fault.Class == upstream.ClassClockWrong:
			c.wrong = true
		}
	}
	now := x.o.Now().Format("2006-01-02 15:04")
	switch {
	case c.wrong && !c.told:
		x.note(checkClock, StatusFail, start, x.say(sayClockCertificate, now))
	case !c.told:
		x.note(checkClock, StatusSkip, start, x.say(sayClockUntold, now))
	case !off:
		x.note(checkClock, StatusOK, start, x.say(sayClockRight, now, source))
	case c.wrong || c.offset.Abs() > clockFar:
		x.note(checkClock, StatusFail, start, x.say(sayClockOff, now, source, x.apart(c.offset)))
	default:
		x.note(checkClock, StatusWarn, start, x.say(sayClockOff, now, source, x.apart(c.offset)))
	}
}

// apart says how far off this clock is.
func (x *examination) apart(offset time.Duration) string {
	n, unit := int64(offset.Abs().Round(time.Minute)/time.Minute), sayMinutes
	switch d := offset.Abs(); {
	case d >= 48*time.Hour:
		n, unit = int64(d.Round(24*time.Hour)/(24*time.Hour)), sayDays
	case d >= 2*time.Hour:
		n, unit = int64(d.Round(time.Hour)/time.Hour), sayHours
	}
	if offset > 0 {
		return x.say(saySlow, n, x.say(unit))
	}
	return x.say(sayFast, n, x.say(unit))
}
