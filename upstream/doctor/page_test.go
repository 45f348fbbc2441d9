package doctor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"melon/upstream"
	"melon/upstream/reply"
)

// page renders one report.
func page(t *testing.T, lang string, r Report) string {
	t.Helper()
	var b bytes.Buffer
	p := Page{Lang: lang, Time: today, Version: "1.0"}
	if err := WriteHTML(&b, []Report{r}, p); err != nil {
		t.Fatal(err)
	}
	if _, err := html.Parse(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPage has every verdict in every language, with the picture's mark where the
// way is broken.
func TestPage(t *testing.T) {
	t.Parallel()
	for _, lang := range reply.Languages() {
		for _, class := range append(upstream.NetworkClasses(), upstream.ReplyClasses()...) {
			x := reply.Explain(class, lang)
			r := Report{Account: "home", Verdict: class, Summary: x.Summary, Advice: x.Advice,
				Checks: []Check{{Name: "relay", Status: StatusWarn, Detail: "d", MS: 7}}}
			out := page(t, lang, r)
			if got := strings.Count(out, `class="mark"`); (got == 1) == (class == upstream.ClassOK) {
				t.Errorf("%s %s: %d marks", lang, class, got)
			}
			if !strings.Contains(out, `<html lang="`+lang+`">`) || !strings.Contains(out, string(class)) || !strings.Contains(out, "7 ms") {
				t.Errorf("%s %s: incomplete page", lang, class)
			}
			for _, a := range x.Advice {
				if !strings.Contains(html.UnescapeString(out), a) {
					t.Errorf("%s %s: %q is missing", lang, class, a)
				}
			}
			svg := out[strings.Index(out, "<svg") : strings.Index(out, "</svg>")+6]
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s %s: picture: %v", lang, class, err)
				}
			}
		}
	}
}

// TestPageSpots marks what is broken.
func TestPageSpots(t *testing.T) {
	t.Parallel()
	for class, want := range map[upstream.Class]spot{
		upstream.ClassOffline: spotLink, upstream.ClassCaptivePortal: spotWay, upstream.ClassPortBlocked: spotWay,
		upstream.ClassClockWrong: spotMelon, upstream.ClassCredentialsRejected: spotProvider,
		upstream.ClassRelayDeniedIP: spotProvider, upstream.ClassOK: spotNone,
	} {
		if got := where(class); got != want {
			t.Errorf("%s: %d, want %d", class, got, want)
		}
	}
}

// TestPageIsAlone asks nobody for anything, and lets no server's words be more
// than words.
func TestPageIsAlone(t *testing.T) {
	t.Parallel()
	evil := `"><script>alert(1)</script><img src=x onerror=y> </style><style>*{}</style> javascript:x`
	out := page(t, "en", Report{Account: evil, Verdict: upstream.Class(evil), Summary: evil, Advice: []string{evil},
		Checks: []Check{{Name: evil, Status: Status(evil), Detail: evil}}})
	doc, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && strings.Contains(" script img iframe link object embed form a base ", " "+n.Data+" ") {
			t.Errorf("element %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.Contains(" src href style action xlink:href ", " "+a.Key+" ") {
				t.Errorf("attribute %s of %s", a.Key, n.Data)
			}
		}
	}
	if strings.Count(out, "<style>") != 1 || strings.Contains(out, "http://") || strings.Contains(out, "https://") || strings.Contains(out, "url(") {
		t.Error("the page refers to something outside")
	}
	sum := sha256.Sum256([]byte(pageCSS))
	if !strings.Contains(out, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Error("no content security policy, or one that does not fit the style")
	}
	if !strings.Contains(out, "<style>"+pageCSS+"</style>") {
		t.Error("the style is not what its hash says")
	}
}
