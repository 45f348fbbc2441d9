package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"text/template"

	"melon/packaging/autostart"
)

// macos lays out Melon.app for each architecture and packs it. The programs for
// arm64 carry the linker's ad hoc signature; the bundle as a whole is signed on a
// Mac (packaging/macos/README.md).
func (r *release) macos() error {
	for _, p := range platforms {
		if p.os != "darwin" {
			continue
		}
		name := fmt.Sprintf("melon-%s-macos-%s", r.fileVersion(), p.arch)
		t, err := r.newTree(name)
		if err != nil {
			return err
		}
		if err := r.layOutApp(t, p); err != nil {
			return err
		}
		if err := t.zip(filepath.Join(r.out, name+".zip"), ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) layOutApp(t tree, p platform) error {
	info, err := template.ParseFiles("packaging/macos/Info.plist")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	// Apple takes numbers only.
	short := regexp.MustCompile(`^\d+\.\d+\.\d+`).FindString(r.version)
	if err := info.Execute(&b, map[string]string{"Version": short, "Build": r.date.Format("20060102.1504")}); err != nil {
		return err
	}
	if err := t.write("Melon.app/Contents/Info.plist", b.Bytes(), 0o644); err != nil {
		return err
	}
	if err := t.write("Melon.app/Contents/PkgInfo", []byte("APPL????"), 0o644); err != nil {
		return err
	}
	agent := autostart.Plan{Melon: "/Applications/Melon.app/Contents/MacOS/melon"}.AgentMelon()
	if err := t.write("Melon.app/Contents/Resources/melon.relay.plist", []byte(agent), 0o644); err != nil {
		return err
	}
	for name, from := range map[string]string{
		"Contents/MacOS/Melon-start":                  "packaging/macos/Melon-start",
		"Contents/MacOS/melon":                        r.bin(p, "melon"),
		"Contents/MacOS/melon-tray":                   r.bin(p, "melon-tray"),
		"Contents/Resources/melon.icns":               "packaging/icons/files/melon.icns",
		"Contents/Resources/LICENSE":                  "LICENSE",
		"Contents/Resources/THIRD-PARTY-LICENCES.txt": filepath.Join(r.work, "THIRD-PARTY-LICENCES.txt"),
	} {
		mode := os.FileMode(0o644)
		if filepath.Base(filepath.Dir(name)) == "MacOS" {
			mode = 0o755
		}
		if err := t.copy("Melon.app/"+name, from, mode); err != nil {
			return err
		}
	}
	return t.copy("README.md", "packaging/macos/README.md", 0o644)
}
