package setup

import (
	"testing"

	"melon/proxy/words"
)

// TestEverySentenceIsTranslated: whatever the code says is in the table, and
// whatever is in the table is said, in both languages.
func TestEverySentenceIsTranslated(t *testing.T) {
	t.Parallel()
	problems, err := words.Check(table, ".", []string{"say", "tell", "fail", "misuse", "Row", "Error"},
		[]string{"source.", "shown.", "way.", "security.", "client."})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}
