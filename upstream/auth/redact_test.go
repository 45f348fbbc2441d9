package auth

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestPrinted(t *testing.T) {
	t.Parallel()
	token := Token{Access: canary, Refresh: canary}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "credentials", creds())
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "credentials", creds())
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %v", token, token, token, token, creds(), creds(), creds(),
		[]any{&token, exchange(t, Plain, creds())}) + log.String()
	if strings.Contains(text, canary) {
		t.Errorf("the secret is in %s", text)
	}
	if !strings.Contains(text, user) {
		t.Errorf("the user is not in %s", text)
	}
}
