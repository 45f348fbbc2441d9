package proxy_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importRules are the one-way streets of the house. A rule reads: files below
// a path that starts with one of Only (tests excepted when TestsToo is false)
// may import what matches Import; nobody else may.
var importRules = []struct {
	Import   string   // import path, or its prefix when it ends in "/"
	Only     []string // directories, relative to the module, that may import it
	TestsToo bool     // test files anywhere may import it as well
	Why      string
}{
	{"github.com/emersion/go-smtp", []string{"proxy/smtpin", "upstream/submit", "upstream/lab"}, true, "the SMTP library stays behind the listener, the client and the lab"},
	{"github.com/knadh/go-pop3", []string{"upstream/pop"}, false, "go-pop3 needs the guards that only upstream/pop puts around it"},
	{"github.com/getlantern/systray", []string{"tray"}, false, "only the tray draws"},
	{"fyne.io/systray", []string{"tray"}, false, "only the tray draws"},
	{"melon/upstream/lab", []string{"upstream/lab", "cmd/melon", "packaging/bench"}, true, "the lab is for tests, the bench and the demo"},
	{"melon/proxy/", []string{"proxy", "cmd/melon", "cmd/melon-tray", "tray"}, false, "upstream knows nothing of the daemon"},
	{"melon/tray", []string{"cmd/melon-tray", "tray"}, false, "the daemon never links a tray"},
	{"melon/proxy/sendmail", []string{"cmd/melon", "proxy/sendmail"}, false, "only the command line speaks sendmail(8)"},
	{"melon/proxy/setup", []string{"cmd/melon", "proxy/setup"}, false, "accounts are set up by the command line and the web page's adapter beside it"},
}

// mayKnow are the packages that may import some parts of the daemon and no
// others, tests excepted.
var mayKnow = []struct {
	Dirs  []string
	Parts []string // below melon/proxy/
	Why   string
}{
	{[]string{"tray", "cmd/melon-tray"}, []string{"control/client", "control/api"}, "the tray speaks to the daemon through control/client only"},
	{[]string{"proxy/sendmail"}, []string{"config", "control/client", "control/api", "route", "smtpin"}, "sendmail reaches a relay through its doors: the listener and the control socket"},
	{[]string{"proxy/setup"}, []string{"config", "words"}, "setup changes the configuration; what tells the relay is handed in"},
}

// leaves are packages that import nothing of Melon.
var leaves = []string{"upstream", "proxy/control/api", "proxy/words", "upstream/trace"}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", p)
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			if why := forbidden(rel, name); why != "" {
				t.Errorf("%s imports %s: %s", rel, name, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d Go files were read: the walk lost its way", files)
	}
}

// forbidden says why the file must not import the package, or "".
func forbidden(file, imp string) string {
	dir, isTest := path.Dir(file), strings.HasSuffix(file, "_test.go")
	for _, r := range importRules {
		if imp != r.Import && !(strings.HasSuffix(r.Import, "/") && strings.HasPrefix(imp, r.Import)) {
			continue
		}
		if !(isTest && r.TestsToo) && !within(dir, r.Only) {
			return r.Why
		}
	}
	for _, k := range mayKnow {
		part, ok := strings.CutPrefix(imp, "melon/proxy/")
		if ok && !isTest && within(dir, k.Dirs) && !slices.Contains(k.Parts, part) {
			return k.Why
		}
	}
	for _, leaf := range leaves {
		if dir == leaf && strings.HasPrefix(imp, "melon/") && !isTest {
			if leaf == "upstream/trace" && imp == "melon/upstream" {
				continue
			}
			return "this package is a leaf"
		}
	}
	return ""
}

func within(dir string, roots []string) bool {
	for _, r := range roots {
		if dir == r || strings.HasPrefix(dir, r+"/") {
			return true
		}
	}
	return false
}

// TestForbiddenFindsEachBreach keeps the checker itself honest.
func TestForbiddenFindsEachBreach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, imp string
		bad       bool
	}{
		{"upstream/relay/relay.go", "melon/proxy/config", true},
		{"upstream/relay/relay_test.go", "melon/proxy/config", true},
		{"upstream/relay/relay.go", "github.com/knadh/go-pop3", true},
		{"upstream/pop/pop.go", "github.com/knadh/go-pop3", false},
		{"proxy/deliver/live.go", "github.com/emersion/go-smtp", true},
		{"proxy/deliver/live_test.go", "github.com/emersion/go-smtp", false},
		{"proxy/smtpin/server.go", "github.com/emersion/go-smtp", false},
		{"proxy/deliver/live.go", "melon/upstream/lab", true},
		{"proxy/deliver/live_test.go", "melon/upstream/lab", false},
		{"cmd/melon/demo.go", "melon/upstream/lab", false},
		{"cmd/melon/run.go", "melon/tray", true},
		{"cmd/melon/run.go", "github.com/getlantern/systray", true},
		{"tray/tray.go", "melon/proxy/outbox", true},
		{"tray/tray.go", "melon/proxy/control/client", false},
		{"proxy/smtpin/server.go", "melon/proxy/sendmail", true},
		{"cmd/melon/sendmail.go", "melon/proxy/sendmail", false},
		{"proxy/sendmail/submit.go", "melon/proxy/outbox", true},
		{"proxy/sendmail/smtp.go", "melon/proxy/smtpin", false},
		{"proxy/setup/keep.go", "melon/proxy/control/client", true},
		{"proxy/setup/keep.go", "melon/proxy/config", false},
		{"proxy/control/web/parts.go", "melon/proxy/setup", true},
		{"upstream/error.go", "melon/upstream/reply", true},
		{"proxy/control/api/api.go", "melon/upstream", true},
	} {
		if got := forbidden(c.file, c.imp) != ""; got != c.bad {
			t.Errorf("forbidden(%s, %s) = %v, want %v", c.file, c.imp, got, c.bad)
		}
	}
}
