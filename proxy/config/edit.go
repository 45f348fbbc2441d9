package config

import "melon/upstream"

// Field is one setting of an account as the file spells it.
type Field struct {
	Key string // "auth", "smtp.host", "pop_before_smtp.window"
	// Value is a string, int, bool, time.Duration, []string, SecretRef, one of
	// the named string types of upstream, or nil to take the setting out.
	Value any
}

// AddAccount adds a to the file, with the settings that differ from the
// defaults, and makes the file (mode 0600, its directory 0700) when there is
// none. The file is left alone when the result would not load; the error is
// then Problems.
func AddAccount(path string, a upstream.Account) error { return nil }

// SetAccount changes settings of one account. Errors are as for AddAccount.
func SetAccount(path, name string, fields ...Field) error { return nil }

// RemoveAccount takes an account out of the file, out of `default` and out of
// the other accounts' `fallback`. A route that names it is an error.
func RemoveAccount(path, name string) error { return nil }

// SetDefault makes name the default account; "" takes the setting out.
func SetDefault(path, name string) error { return nil }
