package autostart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// planMark begins the line that a Plan is read back from.
const planMark = "plan: "

// record is the plan as a comment holds it. Two dashes would end an XML comment.
func (p Plan) record() string {
	b, err := json.Marshal(p)
	if err != nil { // strings only: it cannot fail
		return ""
	}
	return mark + " " + planMark + strings.ReplaceAll(string(b), "--", `\u002d\u002d`)
}

// readPlan finds the plan in a file of ours.
func readPlan(content string) (p Plan, ours bool) {
	if !strings.Contains(content, mark) {
		return p, false
	}
	for line := range strings.Lines(content) {
		_, data, ok := strings.Cut(line, planMark)
		if !ok {
			continue
		}
		data = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(data), "-->"))
		if json.Unmarshal([]byte(data), &p) == nil {
			return p, true
		}
	}
	return p, true // an entry of ours that was edited
}

// Stable is the path by which a program stays to be found after an update: the
// one in PATH when that is a link to it, else its own.
func Stable(self string, look func(string) (string, error)) string {
	if look == nil {
		look = exec.LookPath
	}
	name := strings.TrimSuffix(filepath.Base(self), ".exe")
	found, err := look(name)
	if err != nil || !filepath.IsAbs(found) {
		return self
	}
	a, errA := filepath.EvalSymlinks(found)
	b, errB := filepath.EvalSymlinks(self)
	if errA != nil || errB != nil || a != b {
		return self
	}
	return found
}

// Beside is the program of that name in the directory of self, "" when there is
// none.
func Beside(self, name string) string {
	if strings.HasSuffix(self, ".exe") {
		name += ".exe"
	}
	path := filepath.Join(filepath.Dir(self), name)
	if fi, err := os.Stat(path); err != nil || fi.IsDir() {
		return ""
	}
	return path
}
