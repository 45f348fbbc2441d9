package reply

import (
	"bufio"
	"os"
	"sort"
	"strings"
	"testing"

	"melon/upstream"
)

// labelled is one line of a file of replies whose class is known.
type labelled struct {
	phase      upstream.Phase
	text       string
	class, alt upstream.Class
	software   string
	line       int
}

func readLabelled(t testing.TB, name string) []labelled {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []labelled
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		p := strings.Split(sc.Text(), "\t")
		if n == 1 {
			continue
		}
		if len(p) != 5 {
			t.Fatalf("%s:%d: %d columns", name, n, len(p))
		}
		out = append(out, labelled{upstream.Phase(p[0]), p[1], upstream.Class(p[2]), upstream.Class(p[3]), p[4], n})
	}
	return out
}

func TestScratch(t *testing.T) {
	for _, f := range []string{"testdata/replies-dev.tsv", "testdata/replies-own.tsv", "testdata/replies-blind.tsv", "testdata/replies-blind2.tsv"} {
		ok, alt, n := 0, 0, 0
		var bad []string
		for _, l := range readLabelled(t, f) {
			if strings.Contains(f, "own") && heldOut(l.text) != (os.Getenv("HELD") != "") {
				continue
			}
			n++
			got := ClassifyText(l.phase, l.text)
			switch {
			case got == l.class:
				ok++
			case got == l.alt:
				alt++
				bad = append(bad, "ALT "+string(l.class)+" <- "+string(got)+"\t"+string(l.phase)+"\t"+l.text)
			default:
				bad = append(bad, string(l.class)+" <- "+string(got)+"\t"+string(l.phase)+"\t"+l.text)
			}
		}
		sort.Strings(bad)
		t.Logf("%s: %d/%d exact %.3f, with alt %.3f", f, ok, n, float64(ok)/float64(n), float64(ok+alt)/float64(n))
		if os.Getenv("HELD") == "" {
			t.Log("\n" + strings.Join(bad, "\n"))
		}
	}
}

// heldOut picks a third of the own file by the text alone.
func heldOut(text string) bool {
	h := uint32(2166136261)
	for i := range len(text) {
		h = (h ^ uint32(text[i])) * 16777619
	}
	return h%3 == 0
}
