package control

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestStopIsForTheSocketAlone: the web page cannot end the relay, nor can a relay
// be ended that has no way to.
func TestStopIsForTheSocketAlone(t *testing.T) {
	t.Parallel()
	stopped := 0
	o := Options{Stop: func() { stopped++ }}
	for _, c := range []struct {
		name   string
		h      http.Handler
		status int
	}{
		{"socket", handler(o, true), http.StatusOK},
		{"page", Handler(o), http.StatusNotFound},
		{"none", handler(Options{}, true), http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/stop", nil))
		if w.Code != c.status {
			t.Errorf("%s: %d", c.name, w.Code)
		}
	}
	if stopped != 1 {
		t.Errorf("stopped %d times", stopped)
	}
}
