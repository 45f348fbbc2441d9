package web

import "strings"

// The parts of a page (templates/parts.html) take what they show together with
// the view, for its language. These make such pairs.

type entryPart struct {
	Href, Text string
	Here       bool
}

// Entry is an entry of the menu.
func (v *view) Entry(name, href string) entryPart {
	return entryPart{href, v.T("nav." + name), v.Nav == name}
}

type rowPart struct {
	V *view
	R any
}

// With is a message, for the parts "to" and "progress".
func (v *view) With(r any) rowPart { return rowPart{v, r} }

type faultPart struct {
	V *view
	F fault
}

// Fault is for the parts "fault" and "once".
func (v *view) Fault(f fault) faultPart { return faultPart{v, f} }

type eventPart struct {
	V *view
	E any
}

// Event is for the part "event".
func (v *view) Event(e any) eventPart { return eventPart{v, e} }

type badgePart struct {
	V *view
	S any
}

// Badge is for the part "state".
func (v *view) Badge(s any) badgePart { return badgePart{v, s} }

type stepsPart struct {
	V       *view
	Steps   []Step
	Running bool
}

// StepsOf is for the part "steps".
func (v *view) StepsOf(steps []Step, running bool) stepsPart { return stepsPart{v, steps, running} }

type appsPart struct {
	V *view
	A *appSettings
}

// AppsOf is for the part "apps".
func (v *view) AppsOf(a *appSettings) appsPart { return appsPart{v, a} }

type wayPart struct {
	V *view
	W way
}

// WayOf is for the part "way".
func (v *view) WayOf(w way) wayPart { return wayPart{v, w} }

// Method names a way to log in.
func (v *view) Method(m string) string {
	if key := "auth." + m; v.Has(key) {
		return v.T(key)
	}
	return strings.ToUpper(m)
}
