package web

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"melon/proxy/control/api"
)

// stream opens server-sent events and returns their data lines.
func (x *site) stream(path string) (next func() (string, error)) {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), "GET", "http://"+x.addr+path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	resp, err := x.browser.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		x.t.Fatalf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	return func() (string, error) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data, nil
			}
		}
		return "", io.EOF
	}
}

// TestAPageFollowsFromWhatItShows: a page names the newest event that was there
// before it was made, so that what happens while it is made is not missed.
func TestAPageFollowsFromWhatItShows(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	for i := range 3 {
		x.journal.Add(api.Event{Kind: "message", Outcome: api.OutcomeSent, ID: fmt.Sprint(i)})
	}
	page := x.get("/")
	since := regexp.MustCompile(`data-since="(\d+)"`).FindStringSubmatch(page)
	if since == nil || since[1] != "3" {
		t.Fatalf("the page follows from %v", since)
	}
	next := x.stream("/v1/events?since=1")
	for _, want := range []string{`"id":"1"`, `"id":"2"`} {
		if data, err := next(); err != nil || !strings.Contains(data, want) {
			t.Errorf("%q, %v, want %s", data, err, want)
		}
	}
	x.journal.Add(api.Event{ID: "live"})
	if data, err := next(); err != nil || !strings.Contains(data, `"id":"live"`) {
		t.Errorf("%q, %v", data, err)
	}
}

// TestStreamsEndWithTheirSessions: who is shown out hears nothing more.
func TestStreamsEndWithTheirSessions(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	next := x.stream("/v1/events?since=0")
	x.post("/settings", "verb", "end-sessions")
	if data, err := next(); err == nil {
		t.Errorf("it still hears %q", data)
	}
	after := x.stream("/v1/events?since=0") // the one who ended the others goes on
	x.journal.Add(api.Event{ID: "x"})
	if _, err := after(); err != nil {
		t.Error(err)
	}
}

// TestJobEventsEndWithTheJob: each step is told, and the end is the last.
func TestJobEventsEndWithTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.gate = make(chan struct{})
	x := serve(t, w).enter()
	a := x.post("/why", "account", "home")
	next := x.stream("/jobs/" + a.path[len("/why/"):] + "/events")
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	w.gate <- struct{}{}
	for {
		if _, err := next(); err != nil {
			break
		}
	}
	if !x.jobs.get(a.path[len("/why/"):]).state().Done {
		t.Error("the events ended before the job")
	}
	if r := x.ask("GET", "/jobs/none/events", nil, nil); r.status != http.StatusNotFound {
		t.Errorf("an unknown job: %d", r.status)
	}
}
