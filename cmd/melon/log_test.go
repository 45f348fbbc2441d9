package main

import (
	"fmt"
	"regexp"
	"testing"

	"melon/upstream/lab"
)

// TestLogNamesWhomTheOutboxReached: when a message that waited is delivered, the
// log says to whom, and no next attempt.
func TestLogNamesWhomTheOutboxReached(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\ndelivery: queue\n"))
	p := h.start()
	p.mustSend(fmt.Sprintf(appMessage, "one"))
	p.waitFor("outbox delivered")
	line := regexp.MustCompile(`.*outbox delivered.*`).FindString(p.output())
	if !regexp.MustCompile(` to=hanako@elsewhere\.example attempts=1$`).MatchString(line) {
		t.Errorf("the log says %q", line)
	}
}
