package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// scriptTransport is an authorization server without a network, so that fake
// time can pass: it answers the device request, and each poll from the script.
type scriptTransport struct {
	device string
	polls  []string // "" is a network fault
	times  []time.Time
}

func (s *scriptTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := s.device
	status := 200
	if strings.HasSuffix(r.URL.Path, "/token") {
		s.times = append(s.times, time.Now())
		if body = `{"error":"authorization_pending"}`; len(s.polls) > 0 {
			body, s.polls = s.polls[0], s.polls[1:]
		}
		if body == "" {
			return nil, errors.New("connection reset")
		}
	}
	if strings.Contains(body, `"error"`) {
		status = 400
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

const (
	deviceCode = `{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://p.example/device","verification_uri_complete":"https://p.example/device?c=ABCD","expires_in":600,"interval":5}`
	pending    = `{"error":"authorization_pending"}`
	granted    = `{"access_token":"a","refresh_token":"r","expires_in":3600}`
)

func deviceAccount() upstream.Account {
	return upstream.Account{Name: "home", OAuth: upstream.OAuth{ClientID: "x", TokenURL: "https://p.example/token", DeviceURL: "https://p.example/code"}}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		polls []string
		gaps  []int // seconds before each poll
		is    error
		says  string
	}{
		{"granted at once", []string{granted}, []int{5}, nil, ""},
		{"waited for", []string{pending, pending, granted}, []int{5, 5, 5}, nil, ""},
		{"slower, RFC 8628 section 3.5", []string{`{"error":"slow_down"}`, pending, granted}, []int{5, 10, 10}, nil, ""},
		{"faults in between", []string{"", "<html>", granted}, []int{5, 10, 20}, nil, ""},
		{"declined", []string{pending, `{"error":"access_denied"}`}, []int{5, 5}, ErrSignIn, "start it again"},
		{"the code is void", []string{`{"error":"expired_token"}`}, []int{5}, ErrSignIn, "start it again"},
		{"client unknown", []string{`{"error":"invalid_client"}`}, []int{5}, ErrTokenEndpoint, "client_id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tr := &scriptTransport{device: deviceCode, polls: tt.polls}
				store := &memoryStore{tokens: map[string]Token{}}
				o := newTestOAuth(t, OAuthOptions{Store: store, Transport: tr})
				d, err := o.BeginDevice(t.Context(), deviceAccount())
				if err != nil {
					t.Fatal(err)
				}
				if d.UserCode != "ABCD-EFGH" || d.VerificationURI != "https://p.example/device" || d.VerificationURIComplete == "" || time.Until(d.Expires).Round(time.Second) != 10*time.Minute {
					t.Errorf("%+v", d)
				}
				last := time.Now()
				err = d.Wait(t.Context())
				if !errors.Is(err, tt.is) || err != nil && !strings.Contains(upstream.AsError(err, "").Sentence, tt.says) {
					t.Fatalf("Wait = %v", err)
				}
				if tt.is == nil && store.tokens["home"].Refresh != "r" {
					t.Errorf("stored %+v", store.tokens["home"])
				}
				for i, gap := range tt.gaps {
					if got := tr.times[i].Sub(last); got != time.Duration(gap)*time.Second {
						t.Errorf("poll %d after %v, want %d s", i, got, gap)
					}
					last = tr.times[i]
				}
				if len(tr.times) != len(tt.gaps) {
					t.Errorf("%d polls", len(tr.times))
				}
			})
		})
	}
}

// TestDeviceEnds: with the code's life, or with the caller.
func TestDeviceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{}, Transport: &scriptTransport{device: deviceCode}})
		d, err := o.BeginDevice(t.Context(), deviceAccount())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := d.Wait(t.Context()); !errors.Is(err, ErrSignIn) || time.Since(start) != 10*time.Minute {
			t.Errorf("Wait = %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v", err)
		}
	})
}

// TestHostileDevice: what is shown and opened is bounded.
func TestHostileDevice(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`<html>`, `{}`, `{"error":"invalid_scope"}`,
		`{"device_code":"d","user_code":"c","verification_uri":"javascript:alert(1)"}`,
		`{"device_code":"d","user_code":"c","verification_uri":"http://p.example/"}`,
		`{"device_code":"d","user_code":"c","verification_uri":"https://p\u202e.example/"}`,
		`{"device_code":"d","user_code":"c","verification_uri":"https://p.example/` + strings.Repeat("x", 600) + `"}`,
		`{"device_code":"d","user_code":"` + strings.Repeat("x", 100) + `","verification_uri":"https://p.example/"}`,
	} {
		o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{}, Transport: &scriptTransport{device: answer}})
		_, err := o.BeginDevice(t.Context(), deviceAccount())
		if e := upstream.AsError(err, ""); !errors.Is(err, ErrTokenEndpoint) || e.Kind() != upstream.KindTemporary {
			t.Errorf("%s: %v", answer, err)
		}
	}
	o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{}, Transport: &scriptTransport{
		device: `{"device_code":"d","user_code":"a\u001b[2J","verification_url":"https://p.example/","verification_uri_complete":"file:///x","expires_in":99999999,"interval":99999999}`}})
	d, err := o.BeginDevice(t.Context(), deviceAccount())
	if err != nil {
		t.Fatal(err)
	}
	if d.UserCode != "a?[2J" || d.VerificationURIComplete != "" || time.Until(d.Expires) > maxDeviceLife || d.answer.Interval != maxDeviceInterval {
		t.Errorf("%+v", d)
	}
}
