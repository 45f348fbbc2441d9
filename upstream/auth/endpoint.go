package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"melon/upstream"
)

// maxAnswer bounds an authorization server's answer, in octets.
const maxAnswer = 64 << 10

// newTransport is the transport for all authorization servers. It keeps no
// connection open: they are asked once an hour.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// boundTransport gives every request its own time limit, ends it with ctx (the
// library forgets the context of a device code's request) and reads the whole
// answer, of bounded size, before handing it on.
type boundTransport struct {
	ctx     context.Context
	timeout time.Duration
	base    http.RoundTripper
}

func (t boundTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%w: more than %d octets", ErrTokenEndpoint, maxAnswer)
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		resp.Header.Set("Content-Type", "application/json") // some say text/plain
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// withClient returns a context under which the oauth2 library talks to the
// authorization server: bounded in time and size, and following no redirect: a
// token endpoint has none, a hotel's portal has.
func (o *OAuth) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     boundTransport{ctx, o.o.Timeout, o.o.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// ask runs one request for a token. A server that wants the client's secret in
// the header instead of the body (RFC 6749 section 2.3.1) says so before it
// looks at code or refresh token, and is asked once more.
func (o *OAuth) ask(ctx context.Context, c *oauthClient, f func(ctx context.Context) (*oauth2.Token, error)) (*oauth2.Token, error) {
	ctx = o.withClient(ctx)
	t, err := f(ctx)
	if code, _ := errorCode(err); code == "invalid_client" && c.conf.ClientSecret != "" {
		c.conf.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		t, err = f(ctx)
	}
	return t, err
}

// refresh trades the refresh token for an access token (RFC 6749 section 6).
func (o *OAuth) refresh(ctx context.Context, a upstream.Account, refresh string) (Token, error) {
	if refresh == "" {
		return Token{}, signInNeeded(a.Name, "the last one has run out and cannot be renewed", errors.New("no refresh token"))
	}
	c, err := o.client(ctx, a)
	if err != nil {
		return Token{}, err
	}
	issued := o.now()
	got, err := o.ask(ctx, c, func(ctx context.Context) (*oauth2.Token, error) {
		return c.conf.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	})
	if err != nil {
		return Token{}, refreshError(a.Name, err)
	}
	t, err := o.token(got, issued)
	if err != nil {
		return Token{}, err
	}
	if t.Refresh == "" {
		t.Refresh = refresh
	}
	return t, nil
}

// token converts the library's token to wall clock times. One that could neither
// be stored nor sent as it is (RFC 6749 appendix A.12 and A.17) is no answer.
func (o *OAuth) token(got *oauth2.Token, issued time.Time) (Token, error) {
	if !bearerToken(got.AccessToken) || got.RefreshToken != "" && !bearerToken(got.RefreshToken) {
		return Token{}, endpointError(errors.New("no usable token"))
	}
	t := Token{Access: got.AccessToken, Refresh: got.RefreshToken, Issued: issued}
	switch {
	case got.ExpiresIn > 0:
		t.Expiry = issued.Add(time.Duration(got.ExpiresIn) * time.Second)
	case !got.Expiry.IsZero():
		t.Expiry = got.Expiry.Round(0) // from a form-encoded answer
	}
	return t, nil
}

// errorCode returns the OAuth error code of a definite answer (RFC 6749 section
// 5.2), cleaned, and the HTTP status; "" when there is none.
func errorCode(err error) (code string, status int) {
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) || r.Response == nil {
		return "", 0
	}
	status = r.Response.StatusCode
	if status >= 500 || status >= 300 && status < 400 {
		return "", status // what such an answer says is not the server's last word
	}
	code = r.ErrorCode
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		code = "other"
	}
	return code, status
}

// refreshError types the failure of a refresh. Only a definite word about the
// grant is the person's: invalid_grant, and what OpenID Connect Core section
// 3.1.2.6 has for "ask the person".
func refreshError(account string, err error) *upstream.Error {
	code, _ := errorCode(err)
	switch code {
	case "invalid_grant", "interaction_required", "login_required", "consent_required":
		return signInNeeded(account, "the last one has run out or was withdrawn", errors.New(code))
	}
	return endpointError(err)
}

// endpointError types everything else as temporary. The server's answer is
// dropped: it may quote what was sent.
func endpointError(err error) *upstream.Error {
	code, status := errorCode(err)
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	tell := func(class upstream.Class, sentence string, cause any) *upstream.Error {
		return fail(class, sentence, fmt.Errorf("%w: %v", ErrTokenEndpoint, cause))
	}
	switch {
	case code == "invalid_client", code == "unauthorized_client":
		return tell(upstream.ClassOther,
			"The sign-in server does not accept this account's client_id or client_secret; correct them in its oauth block.", code)
	case code != "":
		return tell(upstream.ClassOther, "The sign-in server refused the request; it is tried again later.", code)
	case status == http.StatusTooManyRequests:
		return tell(upstream.ClassRateLimited, "The sign-in server asks for a pause.", status)
	case status >= 300 && status < 400:
		return tell(upstream.ClassCaptivePortal,
			"Something else answered in place of the sign-in server; this network may want its own sign-in page opened first.", status)
	case status != 0:
		return tell(upstream.ClassServerBroken, "The sign-in server has a fault at the moment.", status)
	case errors.As(err, &dns):
		return tell(upstream.ClassDNSFailure, "The sign-in server's name cannot be looked up on this network.", dns)
	case errors.As(err, &cert):
		return tell(upstream.ClassCertificateInvalid,
			"The sign-in server's certificate is not valid; this network may be answering in its place.", cert)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return tell(upstream.ClassServerUnreachable, "The sign-in server did not answer in time.", "no answer")
	case errors.As(err, &op):
		return tell(upstream.ClassServerUnreachable, "The sign-in server cannot be reached from this network.", op)
	}
	return tell(upstream.ClassServerBroken, "The sign-in server's answer was not understood.", "no usable answer")
}
