package discover

import (
	"bufio"
	"context"
	"strings"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/submit"
	"melon/upstream/trace"
)

// guessTimeout bounds the look at one guessed server.
const guessTimeout = 4 * time.Second

// guess tries names that many providers use. A server counts when it shows a
// certificate for that very name that is good, and greets; nothing is sent but
// EHLO and STARTTLS.
func (s *search) guess(ctx context.Context) []Candidate {
	d := s.a.domain
	smtp := []upstream.Server{
		{Host: "smtp." + d, Port: 465, Security: upstream.SecurityTLS},
		{Host: "smtp." + d, Port: 587, Security: upstream.SecurityStartTLS},
		{Host: "mail." + d, Port: 465, Security: upstream.SecurityTLS},
		{Host: "mail." + d, Port: 587, Security: upstream.SecurityStartTLS},
		{Host: d, Port: 465, Security: upstream.SecurityTLS},
		{Host: d, Port: 587, Security: upstream.SecurityStartTLS},
	}
	pop := []upstream.Server{
		{Host: "pop." + d, Port: 995, Security: upstream.SecurityTLS},
		{Host: "pop3." + d, Port: 995, Security: upstream.SecurityTLS},
		{Host: "mail." + d, Port: 995, Security: upstream.SecurityTLS},
		{Host: d, Port: 995, Security: upstream.SecurityTLS},
	}
	found := s.answering(ctx, append(append([]upstream.Server{}, smtp...), pop...))
	out := firstOf(smtp, found)
	if out.Host == "" {
		return nil
	}
	return []Candidate{{
		Source: SourceGuess, Where: out.Host + " answers with a good certificate",
		SMTP: out, POP: firstOf(pop, found), Username: s.a.full,
	}}
}

// answering looks at all servers side by side and returns those that are there.
func (s *search) answering(ctx context.Context, servers []upstream.Server) map[upstream.Server]bool {
	type answer struct {
		server upstream.Server
		ok     bool
	}
	answers := make(chan answer)
	for _, v := range servers {
		go func() { answers <- answer{v, s.answers(ctx, v)} }()
	}
	found := map[upstream.Server]bool{}
	for range servers {
		if a := <-answers; a.ok {
			found[a.server] = true
		}
	}
	return found
}

func firstOf(servers []upstream.Server, found map[upstream.Server]bool) upstream.Server {
	for _, s := range servers {
		if found[s] {
			return s
		}
	}
	return upstream.Server{}
}

// answers reports whether a mail server is there, behind a good certificate.
func (s *search) answers(ctx context.Context, v upstream.Server) bool {
	ctx, cancel := context.WithTimeout(ctx, guessTimeout)
	defer cancel()
	protocol := trace.SMTP
	if v.Port == 995 {
		protocol = trace.POP3
	}
	conn, err := s.o.Dialer.Dial(ctx, dial.Target{
		Server: v, ImplicitTLS: v.Security == upstream.SecurityTLS, Trust: s.o.Trust, Protocol: protocol, Timeout: guessTimeout,
	})
	if err != nil {
		return false
	}
	if protocol == trace.POP3 {
		defer conn.Close()
		defer conn.Use(ctx)()
		line, err := bufio.NewReaderSize(conn, 512).ReadString('\n')
		return err == nil && strings.HasPrefix(line, "+OK")
	}
	client, err := submit.Open(ctx, conn, submit.Options{Timeout: func(upstream.Phase) time.Duration { return guessTimeout }})
	if err != nil {
		return false
	}
	defer client.Close()
	if v.Security == upstream.SecurityTLS {
		return true
	}
	return client.Capabilities().StartTLS && client.StartTLS(ctx) == nil
}
