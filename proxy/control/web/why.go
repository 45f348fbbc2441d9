package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/reply"
)

// maxReply bounds a reply that somebody pasted, in octets.
const maxReply = 16 << 10

// whyPage asks whom to examine, and explains replies.
type whyPage struct {
	*view
	Accounts  []string
	Chosen    string
	CanRun    bool
	Phases    []upstream.Phase
	Phase     string
	Reply     string
	Explained *fault
	Retry     string
}

func (s *Server) why(r *http.Request) whyPage {
	v := s.newView(r, "why.title")
	v.Live = false
	p := whyPage{view: v, CanRun: s.parts.Doctor != nil, Phases: upstream.Phases(), Chosen: r.URL.Query().Get("account")}
	for _, a := range s.parts.Config().Accounts {
		p.Accounts = append(p.Accounts, a.Name)
	}
	return p
}

func (s *Server) whyShow(w http.ResponseWriter, r *http.Request) {
	s.render(w, http.StatusOK, "why", s.why(r))
}

// whyExplain says what a pasted reply means.
func (s *Server) whyExplain(w http.ResponseWriter, r *http.Request) {
	p := s.why(r)
	text := r.PostFormValue("reply")
	if len(text) > maxReply {
		text = strings.ToValidUTF8(text[:maxReply], "")
	}
	p.Reply, p.Phase = text, r.PostFormValue("phase")
	phase := upstream.Phase(p.Phase)
	if !phase.Valid() {
		phase = ""
	}
	if strings.TrimSpace(text) != "" {
		parsed := reply.Parse(text)
		class := reply.Classify(phase, parsed)
		f := p.explain(&api.Error{Class: string(class), Code: parsed.Code, Enhanced: parsed.Enhanced.String(), Text: parsed.Text()})
		p.Explained, p.Retry = &f, reply.Explain(class, p.Lang).Retry
	}
	s.render(w, http.StatusOK, "why", p)
}

// whyStart begins an examination.
func (s *Server) whyStart(w http.ResponseWriter, r *http.Request) {
	if s.parts.Doctor == nil {
		s.problem(w, r, errNoPart)
		return
	}
	name, lang := r.PostFormValue("account"), s.language(r)
	if _, ok := s.parts.Config().Account(name); !ok && name != "" {
		s.problem(w, r, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, upstream.CleanLine(name)))
		return
	}
	j, err := s.jobs.start("diagnose", name, func(ctx context.Context, j *job) (any, error) {
		return s.parts.Doctor.Diagnose(ctx, name, lang, j.step)
	})
	goToOr(s, w, r, err, "/why/"+jobID(j), "")
}

// runPage is an examination under way, or its report.
type runPage struct {
	*view
	ID      string
	Account string
	At      time.Time
	Steps   []Step
	Running bool
	FaultOf fault
	Result  *Diagnosis
	Way     way
}

// whyRun shows an examination.
func (s *Server) whyRun(w http.ResponseWriter, r *http.Request) {
	p, ok := s.run(r)
	if !ok {
		s.problem(w, r, fmt.Errorf("%w: this report is gone; examine again", control.ErrNotFound))
		return
	}
	s.render(w, http.StatusOK, "run", p)
}

func (s *Server) run(r *http.Request) (runPage, bool) {
	j := s.jobs.get(r.PathValue("id"))
	if j == nil || j.kind != "diagnose" {
		return runPage{}, false
	}
	v := s.newView(r, "why.title")
	v.Live = false
	st := j.state()
	p := runPage{view: v, ID: j.id, Account: j.account, At: j.began, Steps: st.Steps, Running: !st.Done, FaultOf: v.fault(st.Err)}
	if p.Running {
		v.Job, v.Refresh = j.id, "2"
		p.Way = way{Stops: stops(""), Running: true}
	}
	if d, ok := st.Result.(Diagnosis); ok && st.Err == nil {
		p.Result, p.Steps = &d, d.Checks
		p.Way = way{Stops: stops(d.Verdict), Broken: brokenAt(d.Verdict), OK: d.Verdict == upstream.ClassOK}
	}
	return p, true
}

// whyReport is the report as plain text, to be passed on. It holds no secret:
// what doctor says never does.
func (s *Server) whyReport(w http.ResponseWriter, r *http.Request) {
	p, ok := s.run(r)
	if !ok || p.Result == nil {
		s.problem(w, r, fmt.Errorf("%w: this report is gone; examine again", control.ErrNotFound))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="melon-report.txt"`)
	fmt.Fprintf(w, "Melon %s  %s  %s\n%s: %s\n%s\n", p.Version, when(p.At), p.Account, p.T("why.verdict"), p.Result.Verdict, p.Result.Summary)
	for _, a := range p.Result.Advice {
		fmt.Fprintf(w, "- %s\n", a)
	}
	fmt.Fprintln(w)
	for _, c := range p.Steps {
		fmt.Fprintf(w, "%-4s  %-14s %6d ms  %s\n", c.Status, c.Name, c.MS, c.Text)
	}
}

// way is the picture of a message's way.
type way struct {
	Stops   []stop
	Broken  int // the link that is broken: 1 to 3; 0: none; -1: the last stop itself
	OK      bool
	Running bool
}

// Broke reports whether link n (0: the last stop) is the broken one.
func (w way) Broke(n int) bool { return n != 0 && w.Broken == n || n == 0 && w.Broken == -1 }

// Passed reports whether a message gets as far as over link n.
func (w way) Passed(n int) bool {
	return w.OK || w.Broken == -1 || w.Broken > n
}

// Links are the numbers of the links, and From, To and Middle where they are in
// the picture.
func (w way) Links() []int     { return []int{1, 2, 3} }
func (w way) From(n int) int   { return w.Stops[n-1].X + 32 }
func (w way) To(n int) int     { return w.Stops[n].X - 32 }
func (w way) Middle(n int) int { return (w.From(n) + w.To(n)) / 2 }

// Caption is the key of what the picture says.
func (w way) Caption() string {
	switch w.Broken {
	case 2:
		return "why.way.network"
	case 3:
		return "why.way.provider"
	}
	return "why.way.refused"
}

// stop is one station; X is its place in the picture.
type stop struct {
	Key string
	X   int
	Bad bool
}

// stops are the stations with the one marked that the fault is at.
func stops(c upstream.Class) []stop {
	all := []stop{{"why.stop.app", 60, false}, {"why.stop.melon", 220, false}, {"why.stop.network", 380, false}, {"why.stop.provider", 540, false}}
	switch brokenAt(c) {
	case -1:
		all[3].Bad = true
	case 2:
		all[2].Bad = true
	}
	return all
}

// brokenAt says which link of the way a verdict breaks: 2 between Melon and the
// network, 3 between the network and the provider, -1 the provider itself.
func brokenAt(c upstream.Class) int {
	switch {
	case c == "" || c == upstream.ClassOK:
		return 0
	case slices.Contains([]upstream.Class{upstream.ClassOffline, upstream.ClassCaptivePortal, upstream.ClassDNSFailure,
		upstream.ClassDNSHijacked, upstream.ClassVPNRoute, upstream.ClassClockWrong}, c):
		return 2
	case slices.Contains([]upstream.Class{upstream.ClassPortBlocked, upstream.ClassSMTPIntercepted, upstream.ClassStartTLSStripped,
		upstream.ClassCertificateInvalid, upstream.ClassServerUnreachable}, c):
		return 3
	}
	return -1
}
