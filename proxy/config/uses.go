package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"melon/upstream"
)

// use is one place of the file that names something outside of it: a secret, a
// file of certificates, or Melon's own certificate.
type use struct {
	account string // "" under listen
	what    string // the setting's path
	ref     upstream.SecretRef
	ca      string
	pair    TLSFiles
	at      Problem // without its sentence
}

func (u use) problem(sentence string) Problem {
	u.at.Sentence = u.what + ": " + sentence
	return u.at
}

// SecretProblems looks, now, whether the files and environment variables that
// should hold secrets are there and private, and whether files of trusted
// certificates can be read. `run` starts all the same, with these accounts in
// attention. Keyrings and commands are not asked, as they may want to speak
// with the person.
func (c *Config) SecretProblems() []SecretProblem {
	var all []SecretProblem
	for _, u := range c.uses {
		sentence := ""
		switch {
		case u.ref.File != "":
			sentence = secretFileProblem(u.ref.File)
		case u.ref.Env != "" && os.Getenv(u.ref.Env) == "":
			sentence = fmt.Sprintf("the environment variable %s is not set", u.ref.Env)
		case u.ca != "":
			sentence = certificatesProblem(u.ca)
		}
		if sentence != "" {
			all = append(all, SecretProblem{Account: u.account, Problem: u.problem(sentence)})
		}
	}
	return all
}

// pairProblems looks whether Melon's own certificate and key can be used;
// without them no listener could offer TLS, so this stops everything.
func (c *Config) pairProblems() Problems {
	var all Problems
	for _, u := range c.uses {
		if u.pair == (TLSFiles{}) {
			continue
		}
		if _, err := tls.LoadX509KeyPair(u.pair.Cert, u.pair.Key); err != nil {
			all = append(all, u.problem(fmt.Sprintf("this certificate and key cannot be used: %v", err)))
		}
	}
	return all
}

// secretFileProblem says what is wrong with a file for a secret, or "".
func secretFileProblem(path string) string {
	info, sentence := regularFile(path)
	switch {
	case sentence != "":
		return sentence
	case readableByOthers(info):
		return fmt.Sprintf("others may read the file %s: run chmod 600 on it", path)
	case info.Size() == 0:
		return fmt.Sprintf("the file %s is empty: write the secret into it", path)
	}
	return ""
}

// certificatesProblem says what is wrong with a file of PEM certificates, or "".
func certificatesProblem(path string) string {
	info, sentence := regularFile(path)
	if sentence != "" {
		return sentence
	}
	if info.Size() > MaxFile {
		return fmt.Sprintf("the file %s is larger than 1 MB: that is no list of certificates", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("the file %s cannot be read: %v", path, errors.Unwrap(err))
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return fmt.Sprintf("the file %s has no PEM certificate in it", path)
	}
	return ""
}

func regularFile(path string) (info fs.FileInfo, sentence string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Sprintf("there is no file %s", path)
	case err != nil:
		return nil, fmt.Sprintf("the file %s cannot be looked at: %v", path, errors.Unwrap(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Sprintf("%s is not a file", path)
	}
	return info, ""
}
