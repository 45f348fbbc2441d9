package discover

import (
	"context"
	"fmt"
	"net"
	"strings"

	"melon/upstream"
)

// mxLookup is the one MX query that several sources want.
type mxLookup struct {
	resolver Resolver
	domain   string
	done     chan struct{}
	host     string // of the best MX, "" when there is none
}

// run asks; ctx bounds it. It is called once.
func (m *mxLookup) run(ctx context.Context) {
	defer close(m.done)
	records, err := m.resolver.LookupMX(ctx, m.domain)
	if err != nil && len(records) == 0 {
		return
	}
	for _, r := range records { // sorted by preference
		if h := strings.ToLower(strings.TrimSuffix(r.Host, ".")); validHost(h) && net.ParseIP(h) == nil {
			m.host = h
			return
		}
	}
}

// wait returns the host once it is known, "" when there is none or ctx ended.
func (m *mxLookup) wait(ctx context.Context) string {
	select {
	case <-m.done:
		return m.host
	case <-ctx.Done():
		return ""
	}
}

// hosted looks where the domain's mail goes, and for that in the table. Only the
// table's own servers come out of it, so a forged answer leads nowhere.
func (s *search) hosted(ctx context.Context) []Candidate {
	host := s.mx.wait(ctx)
	p, ok := byMX(s.table, host)
	if host == "" || !ok {
		return nil
	}
	c := p.candidate(s.a, SourceMX)
	c.Where = fmt.Sprintf("the mail of %s is hosted there (MX %s)", s.a.domain, host)
	return []Candidate{c}
}

// srv reads the domain's own records (RFC 6186, and RFC 8314 section 5.1 for
// _submissions), implicit TLS first.
func (s *search) srv(ctx context.Context) []Candidate {
	smtp, record := s.service(ctx, []srvName{{"submissions", upstream.SecurityTLS}, {"submission", upstream.SecurityStartTLS}})
	if smtp.Host == "" {
		return nil
	}
	pop, _ := s.service(ctx, []srvName{{"pop3s", upstream.SecurityTLS}, {"pop3", upstream.SecurityStartTLS}})
	return []Candidate{s.markForeign(Candidate{
		Source: SourceSRV, Where: record, SMTP: smtp, POP: pop, Username: s.a.full,
	})}
}

type srvName struct {
	service  string
	security upstream.Security
}

// service returns the first of the services that the domain offers, and the
// record's name. A target of "." says that it is not offered (RFC 2782).
func (s *search) service(ctx context.Context, names []srvName) (upstream.Server, string) {
	for _, n := range names {
		_, records, err := s.o.Resolver.LookupSRV(ctx, n.service, "tcp", s.a.domain)
		if err != nil && len(records) == 0 {
			continue
		}
		for _, r := range records { // sorted by priority and weight
			host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
			if r.Port == 0 || !validHost(host) {
				continue
			}
			return upstream.Server{Host: host, Port: int(r.Port), Security: n.security},
				"the DNS record _" + n.service + "._tcp." + s.a.domain
		}
	}
	return upstream.Server{}, ""
}
