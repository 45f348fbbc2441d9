package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"melon/upstream"
)

// Bounds for a device flow.
const (
	deviceLife        = 15 * time.Minute // when the server names no end; and
	maxDeviceLife     = time.Hour        // the longest
	maxDeviceInterval = 60               // seconds between two polls, at most
)

// DeviceSignIn is one sign-in by the device flow (RFC 8628): the person opens
// VerificationURI on any device and types UserCode. Nothing runs until Wait.
type DeviceSignIn struct {
	UserCode                string
	VerificationURI         string
	VerificationURIComplete string    // with the code in it; may be empty
	Expires                 time.Time // when the code is void

	o       *OAuth
	account upstream.Account
	client  *oauthClient
	answer  *oauth2.DeviceAuthResponse
}

// BeginDevice asks the provider for a code (RFC 8628 section 3.1). Its errors are
// *upstream.Error; ErrNoClient when the provider has no such flow for mail.
func (o *OAuth) BeginDevice(ctx context.Context, a upstream.Account) (*DeviceSignIn, error) {
	c, err := o.client(ctx, a)
	if err != nil {
		return nil, err
	}
	if c.conf.Endpoint.DeviceAuthURL == "" {
		return nil, fail(upstream.ClassAppPasswordOrOAuthRequired,
			"This provider has no sign-in by code for mail; sign in with a browser on this computer, or set device_url.", ErrNoClient)
	}
	answer, err := c.conf.DeviceAuth(o.withClient(ctx))
	if err != nil {
		return nil, endpointError(err)
	}
	d := &DeviceSignIn{
		UserCode:        upstream.CleanLine(answer.UserCode),
		VerificationURI: answer.VerificationURI,
		o:               o, account: a, client: c, answer: answer,
	}
	// Both are shown, and perhaps opened: no other scheme than the web's.
	if d.UserCode == "" || len(d.UserCode) > 64 || answer.DeviceCode == "" || !showable(d.VerificationURI) {
		return nil, endpointError(errors.New("unusable device code"))
	}
	if showable(answer.VerificationURIComplete) {
		d.VerificationURIComplete = answer.VerificationURIComplete
	}
	d.bound()
	return d, nil
}

// showable reports whether a person may be shown the address and sent there: it
// looks like what it is, and is no longer than a line.
func showable(u string) bool { return secureURL(u) && u == upstream.CleanLine(u) }

// bound keeps life and interval within reason: a server's mistake must neither
// make Wait poll without a pause nor hang for days.
func (d *DeviceSignIn) bound() {
	life := deviceLife
	if !d.answer.Expiry.IsZero() {
		life = min(time.Until(d.answer.Expiry), maxDeviceLife)
	}
	d.answer.Expiry = time.Now().Add(life)
	d.Expires = d.o.now().Add(life)
	switch i := d.answer.Interval; {
	case i <= 0:
		d.answer.Interval = 5 // RFC 8628 section 3.2
	case i > maxDeviceInterval:
		d.answer.Interval = maxDeviceInterval
	}
}

// Wait polls until the person has signed in and the token is stored, the code
// has expired or was declined, or ctx ends. A server that does not answer is
// asked again, less often (RFC 8628 section 3.5). Errors are *upstream.Error.
func (d *DeviceSignIn) Wait(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, d.answer.Expiry)
	defer cancel()
	for {
		t, err := d.client.conf.DeviceAccessToken(d.o.withClient(ctx), d.answer)
		if err == nil {
			return d.o.accept(ctx, d.account, t, d.o.now())
		}
		if code, _ := errorCode(err); code != "" {
			return signInError(err)
		}
		if ctx.Err() != nil {
			return fail(upstream.ClassAppPasswordOrOAuthRequired,
				"Nobody finished the sign-in in time; start it again.", fmt.Errorf("%w: %w", ErrSignIn, ctx.Err()))
		}
		d.answer.Interval = min(2*d.answer.Interval, maxDeviceInterval)
	}
}
