package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenceFile is the name of a file with a licence or a notice that has to go
// along with the program.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([.-].*)?$`)

// licences gathers the licence texts of every module that is linked into any of
// the programs on any platform, and Go's own. The walk over the module cache is
// ours: it reads what `go list` says is linked in and needs no network, while the
// usual tool classifies texts, which nobody here asks for. A module without a
// text stops the release.
func (r *release) licences() error {
	modules := map[string]string{} // path@version to directory
	for _, p := range platforms {
		if err := linkedModules(p, modules); err != nil {
			return err
		}
	}
	root, err := output("go", "env", "GOROOT")
	if err != nil {
		return err
	}
	version, err := output("go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	modules["The Go standard library, "+version] = root
	var names []string
	for name := range modules {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	fmt.Fprintf(&b, "Melon %s contains the following, under the terms below.\n", r.version)
	for _, name := range names {
		if err := appendLicences(&b, name, modules[name]); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(r.work, "THIRD-PARTY-LICENCES.txt"), b.Bytes(), 0o644)
}

func appendLicences(b *bytes.Buffer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(b, "\n%s\n%s (%s)\n\n%s\n", strings.Repeat("=", 78), name, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence text in %s", name, dir)
	}
	return nil
}

// linkedModules adds the modules that the programs for a platform link in.
func linkedModules(p platform, modules map[string]string) error {
	tags := ""
	if p.os == "linux" {
		tags = "gtk" // both drivers of the tray are shipped
	}
	for _, t := range slices.Compact([]string{"", tags}) {
		cmd := exec.Command("go", "list", "-deps", "-tags", t, "-json=Module,Standard", "./cmd/melon", "./cmd/melon-tray")
		cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("go list for %s: %w", p, err)
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var pkg struct {
				Standard bool
				Module   *struct {
					Path, Version, Dir string
					Main               bool
				}
			}
			if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			if m := pkg.Module; m != nil && !m.Main {
				modules[m.Path+" "+m.Version] = m.Dir
			}
		}
	}
	return nil
}
