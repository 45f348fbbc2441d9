package sendmail

import (
	"errors"
	"strings"
	"testing"
	"time"

	"melon/proxy/config"
	"melon/proxy/control/api"
)

// read reads a header and gives back what of it and the body was read.
func read(t *testing.T, text string, ignoreDots bool) (header []headerField, body string) {
	t.Helper()
	in := newLines(strings.NewReader(text), 16, ignoreDots)
	header, first, err := readFields(in)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := copyBody(&b, first, in); err != nil {
		t.Fatal(err)
	}
	return header, b.String()
}

func TestHeaderAndBody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ header, body string }{
		"A: 1\nB: 2\n 3\n\nx\n.\ny":                     {"A: 1\r\nB: 2\r\n 3\r\n\r\n", "x\r\n"},
		"From x Mon\nA: 1\r\n\r\nlong line over 16\r\n": {"A: 1\r\n\r\n", "long line over 16\r\n"},
		"no header here\nA: 1\n":                        {"\r\n", "no header here\r\nA: 1\r\n"},
		"":                                              {"\r\n", ""},
		"just as long, no":                              {"\r\n", "just as long, no\r\n"},
		"A: 1\n\njust as long, no":                      {"A: 1\r\n\r\n", "just as long, no\r\n"},
		"A: 1\rBcc: 2\r\n\rx\r\r\ny\r":                  {"A: 1\r\nBcc: 2\r\n\r\n", "x\r\n\r\ny\r\n"},
	} {
		header, body := read(t, text, false)
		if got := string(joinHeader(header)); got != want.header || body != want.body {
			t.Errorf("%q: header %q, body %q", text, got, body)
		}
	}
	if _, body := read(t, "\nx\n.\ny\n", true); body != "x\r\n.\r\ny\r\n" {
		t.Errorf("dots ignored: %q", body)
	}
}

// TestWhoSends: the running relay's accounts stand in for a configuration that
// cannot be read, and an only account for a default.
func TestWhoSends(t *testing.T) {
	t.Parallel()
	home := api.Account{Name: "home", Address: "taro@provider-a.example"}
	work := api.Account{Name: "work", Address: "taro@work.example", Default: true}
	empty := ""
	for name, c := range map[string]struct {
		accounts []api.Account
		sender   *string
		header   string
		want     string
	}{
		"nobody":           {nil, nil, "", "me@here"},
		"the only account": {[]api.Account{home}, nil, "", home.Address},
		"the default":      {[]api.Account{home, work}, nil, "From: x@else.example\n\n", work.Address},
		"no sender":        {[]api.Account{home}, &empty, "", ""},
		"the header alone": {nil, nil, "From: x@else.example\n\n", "x@else.example"},
	} {
		header, _ := read(t, c.header, false)
		who := person{cfg: config.Defaults(), accounts: c.accounts, login: "me@here"}
		got, err := who.sender(Options{sender: c.sender}, header)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		full := string(joinHeader(who.completeHeader(header, got, "", time.Unix(0, 0))))
		for _, field := range []string{"From: ", "Date: ", "Message-ID: <"} {
			if strings.Count(full, field) != 1 {
				t.Errorf("%s: %q has not one %q", name, full, field)
			}
		}
	}
	_, err := person{cfg: config.Defaults()}.local([]string{"root"})
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != ExNoUser {
		t.Errorf("a name without a domain and no account: %v", err)
	}
}
