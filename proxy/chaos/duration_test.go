//go:build (chaos || soak) && unix

package chaos

import (
	"os"
	"testing"
	"time"
)

// duration is what DURATION says, or the default.
func duration(t testing.TB, otherwise time.Duration) time.Duration {
	s := os.Getenv("DURATION")
	if s == "" {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal("DURATION: ", err)
	}
	return d
}
