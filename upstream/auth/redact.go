package auth

import (
	"fmt"
	"log/slog"
)

// What carries a secret prints as what it is, not as what it holds: a stray %+v
// or a log attribute must not be the hole. Storing a Token goes through
// encoding/json, which asks none of these.

const redacted = "[secret]"

// String names the user alone.
func (c Credentials) String() string { return fmt.Sprintf("credentials of %q", c.Username) }

// GoString is String, for %#v.
func (c Credentials) GoString() string { return c.String() }

// LogValue is String, for log/slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String tells the times alone.
func (t Token) String() string {
	return fmt.Sprintf("token %s issued %v, expires %v", redacted, t.Issued, t.Expiry)
}

// GoString is String, for %#v.
func (t Token) GoString() string { return t.String() }

// LogValue is String, for log/slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
