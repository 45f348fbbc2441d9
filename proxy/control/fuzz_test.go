package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"melon/proxy/control"
	"melon/proxy/control/api"
)

// FuzzCalls: any call of the API is carried out as it says or refused with a
// problem; nothing is done by GET, nothing that was not asked for, and answers are
// JSON that holds no control character as it is.
func FuzzCalls(f *testing.F) {
	for _, path := range []string{"/v1/status", "/v1/accounts/home/clear", "/v1/accounts/%2e%2e%2f%0a/clear", "/v1/outbox", "/v1/outbox/abc", "/v1/outbox/x%1b/message", "/v1/outbox/send",
		"/v1/outbox/remove", "/v1/pause", "/v1/reload", "/v1/open", "/v1/stop", "/v1/collect", "/v1/history", "/v1/events?since=7", "/v1/events?since=-1", "//v1/pause", "/v1/../v1/stop", "/"} {
		for _, body := range []string{"", "{}", `{"ids":["a","b"]}`, `{"ids":[]}`, `{"ids":null}x`, `{"IDS":["\u0000"],"more":1}`, `{"page":"//x"}`, "[[[["} {
			f.Add("POST", path, body)
		}
		f.Add("GET", path, "")
		f.Add("DELETE", path, "{}")
	}
	j := control.NewJournal(time.Now)
	j.Add(api.Event{Text: "x\r\n\ndata: y"})
	gone, cancel := context.WithCancel(f.Context())
	cancel() // an event stream ends with its reader
	f.Fuzz(func(t *testing.T, method, path, body string) {
		d := &fakeDaemon{}
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		h := control.Handler(control.Options{Daemon: d, Outbox: d, Journal: j, Stop: func() { d.called("stop") }})
		r := httptest.NewRequestWithContext(gone, "POST", "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if did := strings.Join(d.calls, "; "); did != "" && (method != "POST" || did != asked(u.Path, body)) {
			t.Errorf("%s %s %q: %q, want %q", method, path, body, did, asked(u.Path, body))
		}
		checkAnswer(t, w)
	})
}

// asked is what a call of the API may make of the daemon: one call, with what the
// body says.
func asked(path, body string) string {
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch last {
	case "clear":
		name := strings.TrimSuffix(strings.TrimPrefix(path, "/v1/accounts/"), "/clear")
		return "clear " + name
	case "pause", "resume":
		return fmt.Sprintf("paused %v", last == "pause")
	case "reload":
		return last
	}
	var in api.IDs
	if json.NewDecoder(strings.NewReader(body)).Decode(&in) != nil || !slices.Contains([]string{"send", "hold", "release", "remove"}, last) || last != "send" && len(in.IDs) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s %v", last, in.IDs)
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for name, values := range w.Header() {
		if strings.ContainsFunc(strings.Join(values, ""), unicode.IsControl) {
			t.Errorf("%s: %q", name, values)
		}
	}
	switch kind := w.Header().Get("Content-Type"); {
	case kind == "application/json":
		if !json.Valid(w.Body.Bytes()) || strings.ContainsAny(strings.TrimSpace(w.Body.String()), "\x00\x1b\r\n") {
			t.Errorf("%d: %q", w.Code, w.Body)
		}
		var p api.Problem
		if w.Code >= 400 && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Error == "") {
			t.Errorf("%d: %q", w.Code, w.Body)
		}
	case kind == "text/event-stream":
		for line := range strings.SplitSeq(w.Body.String(), "\n") {
			if line != "" && !strings.HasPrefix(line, "id: ") && !strings.HasPrefix(line, `data: {"seq"`) {
				t.Errorf("line %q", line)
			}
		}
	case w.Code == http.StatusOK && kind != "message/rfc822":
		t.Errorf("%d, %s", w.Code, kind)
	}
}
