// Package client speaks to a running Melon over its control socket.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"melon/proxy/control/api"
)

// ErrNotRunning says that nothing answers on the socket.
var ErrNotRunning = errors.New("nothing is running; start it with: melon run")

// Error is a Problem that the daemon answered with.
type Error struct {
	Status  int    // HTTP status
	Problem string // one sentence
}

func (e *Error) Error() string { return e.Problem }

// Client is a connection to one daemon. It is safe for concurrent use.
type Client struct{ http *http.Client }

// New returns a Client for the socket at path. Nothing is opened yet.
func New(path string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       2,
		IdleConnTimeout:    30 * time.Second,
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the whole state.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var s api.Status
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Outbox returns every entry, oldest first.
func (c *Client) Outbox(ctx context.Context) ([]api.Entry, error) {
	var e []api.Entry
	return e, c.call(ctx, http.MethodGet, "/outbox", nil, &e)
}

// Entry returns one entry by its ID or a unique prefix.
func (c *Client) Entry(ctx context.Context, id string) (api.Entry, error) {
	var e api.Entry
	return e, c.call(ctx, http.MethodGet, "/outbox/"+url.PathEscape(id), nil, &e)
}

// Message copies the message of an entry to w.
func (c *Client) Message(ctx context.Context, id string, w io.Writer) error {
	resp, err := c.request(ctx, http.MethodGet, "/outbox/"+url.PathEscape(id)+"/message", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// Do carries out "send", "hold", "release" or "remove" and returns the whole
// IDs of what it applied to.
func (c *Client) Do(ctx context.Context, verb string, ids []string) ([]string, error) {
	var d api.Done
	return d.IDs, c.call(ctx, http.MethodPost, "/outbox/"+verb, api.IDs{IDs: ids}, &d)
}

// History returns the last finished messages, the newest last.
func (c *Client) History(ctx context.Context) ([]api.Event, error) {
	var e []api.Event
	return e, c.call(ctx, http.MethodGet, "/history", nil, &e)
}

// Pause holds all sending.
func (c *Client) Pause(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/pause", struct{}{}, nil)
}

// Resume ends Pause.
func (c *Client) Resume(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/resume", struct{}{}, nil)
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/reload", struct{}{}, nil)
}

// Collect makes the daemon take in what sendmail left in the drop directory.
func (c *Client) Collect(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/collect", struct{}{}, nil)
}

// Open returns a link that opens a page of the web page once, within a minute.
func (c *Client) Open(ctx context.Context, page string) (string, error) {
	var l api.Link
	return l.URL, c.call(ctx, http.MethodPost, "/open", api.Open{Page: page}, &l)
}

// Stop ends the relay, as SIGTERM does. What waits is kept.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/stop", struct{}{}, nil)
}

// ClearAccount ends an account's attention.
func (c *Client) ClearAccount(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/accounts/"+url.PathEscape(name)+"/clear", struct{}{}, nil)
}

// Events calls f with every event after number since, until ctx ends, the line
// breaks or f fails.
func (c *Client) Events(ctx context.Context, since uint64, f func(api.Event) error) error {
	resp, err := c.request(ctx, http.MethodGet, "/events?since="+strconv.FormatUint(since, 10), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e api.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("event: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// call makes one request and decodes its answer into out unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer of the running Melon cannot be read: %w", err)
	}
	return nil
}

// request sends a request; an answer that is not 2xx is an *Error.
func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://melon/"+api.Version+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, ErrNotRunning
		}
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		var p api.Problem
		if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p); err != nil || p.Error == "" {
			p.Error = "the running Melon answered " + resp.Status
		}
		return nil, &Error{Status: resp.StatusCode, Problem: p.Error}
	}
	return resp, nil
}
