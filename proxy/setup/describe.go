package setup

import (
	"fmt"
	"strings"

	"melon/upstream"
	"melon/upstream/discover"
	"melon/upstream/doctor"
	"melon/upstream/reply"
)

// DescribeServer is a server for people.
func (s *Setup) DescribeServer(server upstream.Server) string {
	port := s.say("server.ports")
	if server.Port != 0 {
		port = s.say("server.atport", server.Port)
	}
	return s.say("server.describe", server.Host, port, s.say("security."+string(server.Security)))
}

// DescribeCandidate shows a candidate's settings.
func (s *Setup) DescribeCandidate(c discover.Candidate) string {
	var b strings.Builder
	if c.SMTP.Host != "" {
		b.WriteString(s.words.Row("candidate.sending", s.DescribeServer(c.SMTP)))
	}
	if c.POP.Host != "" {
		b.WriteString(s.words.Row("candidate.pop", s.DescribeServer(c.POP)))
	}
	if c.Username != "" {
		b.WriteString(s.words.Row("candidate.login", c.Username))
	}
	var ways []string
	for _, l := range c.Logins {
		ways = append(ways, s.say("way."+string(l)))
	}
	if len(ways) > 0 {
		b.WriteString(s.words.Row("candidate.by", strings.Join(ways, s.say("candidate.or"))))
	}
	if c.Note != "" && c.SMTP.Host != "" {
		b.WriteString(s.words.Row("candidate.note", c.Note))
	}
	return b.String()
}

// SourceWords say on the web page where settings are known from.
func (s *Setup) SourceWords(source discover.Source) string { return s.say("shown." + string(source)) }

// ForeignWords warn of servers that somebody on the way may have named.
func (s *Setup) ForeignWords(hosts []string) string {
	return s.say("find.foreign.form", strings.Join(hosts, s.say("find.comma")))
}

// DescribeReport is a report for people: the steps that matter, and for a failure
// what to do; all of the steps if wanted.
func DescribeReport(r doctor.Report, all bool) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if all && c.Status != doctor.StatusSkip || c.Status == doctor.StatusFail || c.Status == doctor.StatusOK && strings.Contains(c.Name, "login") {
			fmt.Fprintf(&b, "  %-4s %-12s %s\n", c.Status, c.Name, c.Detail)
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict, r.Summary)
	if r.Verdict != upstream.ClassOK {
		for _, line := range r.Advice {
			fmt.Fprintf(&b, "  → %s\n", line)
		}
	}
	return b.String()
}

// describeRefusal is a failed sending for people.
func (s *Setup) describeRefusal(e *upstream.Error) string {
	var b strings.Builder
	x := reply.Explain(e.Class, s.Lang)
	if !e.Reply.IsZero() {
		b.WriteString(s.say("test.said", e.Reply))
	} else if e.Sentence != "" {
		fmt.Fprintln(&b, e.Sentence)
	}
	fmt.Fprintf(&b, "%s: %s\n", e.Class, x.Summary)
	for _, line := range x.Advice {
		fmt.Fprintf(&b, "  → %s\n", line)
	}
	return b.String()
}
