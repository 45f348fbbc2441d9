package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"melon/upstream"
)

// Field is one setting of an account as the file spells it.
type Field struct {
	Key string // "auth", "smtp.host", "pop_before_smtp.window"
	// Value is a string (of any string type), int, bool, time.Duration,
	// []string or SecretRef, or nil to take the setting out.
	Value any
}

// accountFields returns the settings of a that differ from the defaults.
func accountFields(a upstream.Account) []Field {
	d := defaultAccount(a.Name)
	var all []Field
	add := func(key string, v, unless any) {
		r := reflect.ValueOf(v)
		empty := r.IsZero() || r.Kind() == reflect.Slice && r.Len() == 0
		if !empty && !reflect.DeepEqual(v, unless) {
			all = append(all, Field{key, v})
		}
	}
	add("address", a.Address, nil)
	add("senders", a.Senders, nil)
	add("username", a.Username, a.Address)
	add("password", a.Password, nil)
	add("auth", a.Auth, d.Auth)
	add("smtp.host", a.SMTP.Host, nil)
	add("smtp.port", a.SMTP.Port, nil)
	add("smtp.security", a.SMTP.Security, d.SMTP.Security)
	if a.POP.Host != "" {
		user := a.Username
		if user == "" {
			user = a.Address
		}
		add("pop.host", a.POP.Host, nil)
		add("pop.port", a.POP.Port, nil)
		add("pop.security", a.POP.Security, d.POP.Security)
		add("pop.username", a.POP.Username, user)
		add("pop.password", a.POP.Password, a.Password)
		add("pop_before_smtp.window", a.PopBeforeSMTP.Window, d.PopBeforeSMTP.Window)
		add("pop_before_smtp.finish", a.PopBeforeSMTP.Finish, d.PopBeforeSMTP.Finish)
		add("pop_before_smtp.hold", a.PopBeforeSMTP.Hold, nil)
		add("pop_before_smtp.settle", a.PopBeforeSMTP.Settle, nil)
	}
	add("trust.ca", a.Trust.CA, nil)
	add("trust.pin", a.Trust.Pins, nil)
	add("trust.server_name", a.Trust.ServerName, nil)
	add("trust.legacy_tls", a.Trust.LegacyTLS, nil)
	add("trust.insecure", a.Trust.Insecure, nil)
	add("allow_plaintext", a.AllowPlaintext, nil)
	if a.EnvelopeFromAccount {
		add("envelope_from", "account", nil)
	}
	add("fallback", a.Fallback, nil)
	add("connections", a.Connections, nil)
	add("oauth.provider", a.OAuth.Provider, nil)
	add("oauth.client_id", a.OAuth.ClientID, nil)
	add("oauth.client_secret", a.OAuth.ClientSecret, nil)
	add("oauth.tenant", a.OAuth.Tenant, nil)
	add("oauth.scopes", a.OAuth.Scopes, nil)
	add("oauth.auth_url", a.OAuth.AuthURL, nil)
	add("oauth.token_url", a.OAuth.TokenURL, nil)
	add("oauth.device_url", a.OAuth.DeviceURL, nil)
	return all
}

// piece is a value as YAML text: on one line, and for a section also with a
// line a setting. The zero piece is no value.
type piece struct {
	text  string
	lines []string
}

// tree renders fields, whose keys have at most one dot, as a section.
func tree(fields []Field) (piece, error) {
	var keys []string
	values := map[string]string{}
	inner := map[string][]string{}
	for _, f := range fields {
		text, err := render(f.Value)
		if err != nil {
			return piece{}, fmt.Errorf("%s: %w", f.Key, err)
		}
		key, sub, nested := strings.Cut(f.Key, ".")
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if nested {
			inner[key] = append(inner[key], sub+": "+text)
			text = "{" + strings.Join(inner[key], ", ") + "}"
		}
		values[key] = text
	}
	var p piece
	for _, key := range keys {
		p.lines = append(p.lines, key+": "+values[key])
	}
	p.text = "{" + strings.Join(p.lines, ", ") + "}"
	return p, nil
}

// bareWord is a text that means itself without quotes, in flow context too.
var bareWord = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./@+-]*$`)

// render writes a value as YAML on one line.
func render(v any) (string, error) {
	switch v := v.(type) {
	case time.Duration:
		return shortDuration(v), nil
	case upstream.SecretRef:
		return renderSecret(v)
	case []string:
		words := make([]string, len(v))
		for i, s := range v {
			var err error
			if words[i], err = render(s); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(words, ", ") + "]", nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(r.Bool()), nil
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(r.Int(), 10), nil
	case reflect.String:
		s := r.String()
		if !utf8.ValidString(s) {
			return "", errors.New("the value is not UTF-8")
		}
		var n yaml.Node
		if bareWord.MatchString(s) && yaml.Unmarshal([]byte(s), &n) == nil && n.Content[0].Tag == "!!str" {
			return s, nil
		}
		return strconv.Quote(s), nil
	}
	return "", fmt.Errorf("a value of type %T has no place in the file", v)
}

func renderSecret(ref upstream.SecretRef) (string, error) {
	key, value := "", any(nil)
	switch {
	case ref.Keyring != "":
		key, value = "keyring", ref.Keyring
	case len(ref.Command) > 0:
		key, value = "command", ref.Command
	case ref.File != "":
		key, value = "file", ref.File
	case ref.Env != "":
		key, value = "env", ref.Env
	default:
		return "", errors.New("the secret names no place")
	}
	text, err := render(value)
	return "{" + key + ": " + text + "}", err
}

// shortDuration is d.String without its zero parts: 10m, 1h30m, 0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}
