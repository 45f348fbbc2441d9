package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// native is the platform that this runs on.
var native = platform{runtime.GOOS, runtime.GOARCH}

// bin is the path of a program for a platform.
func (r *release) bin(p platform, name string) string {
	if p.os == "windows" {
		name += ".exe"
	}
	return filepath.Join(r.work, "bin", p.String(), name)
}

// programs compiles everything.
func (r *release) programs() error {
	r.gtk = native.os == "linux" && exec.Command("pkg-config", "--exists", "ayatana-appindicator3-0.1", "gtk+-3.0").Run() == nil
	if !r.gtk {
		fmt.Println("release: no GTK headers: the tray speaks to the panel by itself (apt-get install gcc pkg-config libayatana-appindicator3-dev)")
	}
	for _, p := range platforms {
		for _, name := range []string{"melon", "melon-tray"} {
			if err := r.compile(p, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *release) compile(p platform, name string) error {
	ldflags := "-s -w -buildid= -X main.release=" + r.version
	env := []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOTOOLCHAIN=local"}
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	if name == "melon-tray" {
		switch {
		case p.os == "windows":
			ldflags += " -H windowsgui" // no console
		case r.gtk && p == native:
			env[2] = "CGO_ENABLED=1"
			args = append(args, "-tags", "gtk", "-buildmode=pie")
			// Without these the compiler's own build ID would differ by path.
			ldflags += " -linkmode external -extldflags '-Wl,--build-id=none -Wl,-z,relro -Wl,-z,now'"
		}
	}
	args = append(args, "-ldflags", ldflags, "-o", r.bin(p, name), "./cmd/"+name)
	return command(env, "go", args...)
}

// docs has the new program describe itself.
func (r *release) docs() error {
	melon := r.bin(native, "melon")
	env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix())}
	if err := command(env, melon, "manual", filepath.Join(r.work, "man")); err != nil {
		return err
	}
	dir := filepath.Join(r.work, "completion")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, err := exec.Command(melon, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dir, shell), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manuals lists the pages.
func (r *release) manuals() ([]string, error) {
	return filepath.Glob(filepath.Join(r.work, "man", "*.[0-9]"))
}

// manSection is the number at the end of a page's name.
func manSection(page string) string { return page[strings.LastIndexByte(page, '.')+1:] }
