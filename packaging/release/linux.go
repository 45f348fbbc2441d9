package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"melon/packaging/autostart"
)

// maintainer is who the packages name.
const maintainer = "The Melon authors <maintainers@melon.example>"

// linux lays out and packs what goes to Linux.
func (r *release) linux() error {
	for _, p := range platforms {
		if p.os != "linux" {
			continue
		}
		t, err := r.newTree("linux-" + p.arch)
		if err != nil {
			return err
		}
		if err := r.layOutLinux(t, p); err != nil {
			return err
		}
		for _, name := range []string{"melon", "melon-desktop", "melon-mta"} {
			if name == "melon-mta" && p.arch != "amd64" {
				continue // it is for every architecture
			}
			for _, format := range []string{"deb", "rpm"} {
				if err := r.nfpm(t, p, name, format); err != nil {
					return err
				}
			}
		}
		if err := r.tarball(p); err != nil {
			return err
		}
	}
	return nil
}

// layOutLinux puts every file where the packages have it.
func (r *release) layOutLinux(t tree, p platform) error {
	unit := func(text string) []byte {
		// The first line names `melon autostart`, which did not write this one.
		_, rest, _ := strings.Cut(text, "\n")
		return []byte("# Part of the package. Switch it on with: melon autostart on\n" + rest)
	}
	plan := autostart.Plan{Melon: "/usr/bin/melon", Tray: "/usr/bin/melon-tray"}
	for name, data := range map[string][]byte{
		"usr/lib/systemd/user/melon.service":      unit(plan.Service()),
		"usr/lib/systemd/user/melon-tray.service": unit(plan.TrayService()),
	} {
		if err := t.write(name, data, 0o644); err != nil {
			return err
		}
	}
	for name, from := range map[string]string{
		"usr/bin/melon": r.bin(p, "melon"), "usr/bin/melon-tray": r.bin(p, "melon-tray"),
	} {
		if err := t.copy(name, from, 0o755); err != nil {
			return err
		}
	}
	for name, from := range map[string]string{
		"usr/share/bash-completion/completions/melon":    "bash",
		"usr/share/zsh/vendor-completions/_melon":        "zsh",
		"usr/share/zsh/site-functions/_melon":            "zsh",
		"usr/share/fish/vendor_completions.d/melon.fish": "fish",
	} {
		if err := t.copy(name, filepath.Join(r.work, "completion", from), 0o644); err != nil {
			return err
		}
	}
	if err := t.copy("usr/share/applications/melon.desktop", "packaging/linux/melon.desktop", 0o644); err != nil {
		return err
	}
	if err := layOutIcons(t); err != nil {
		return err
	}
	if err := r.layOutManuals(t); err != nil {
		return err
	}
	return r.layOutDocs(t)
}

// layOutManuals compresses the manual pages into place.
func (r *release) layOutManuals(t tree) error {
	pages, err := r.manuals()
	if err != nil {
		return err
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := t.gzip(fmt.Sprintf("usr/share/man/man%s/%s.gz", manSection(page), filepath.Base(page)), data); err != nil {
			return err
		}
	}
	overview, err := os.ReadFile(filepath.Join(r.work, "man", "ja", "melon.1"))
	if err != nil {
		return err
	}
	if err := t.gzip("usr/share/man/ja/man1/melon.1.gz", overview); err != nil {
		return err
	}
	for _, name := range []string{"mailq.1", "newaliases.1", "sendmail.8"} { // melon-mta's
		if err := t.gzip("usr/share/man/man"+manSection(name)+"/"+name+".gz", []byte(".so man1/melon-sendmail.1\n")); err != nil {
			return err
		}
	}
	return nil
}

// layOutIcons copies the icon theme's files.
func layOutIcons(t tree) error {
	const from = "packaging/icons/files"
	return filepath.WalkDir(filepath.Join(from, "hicolor"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return t.copy("usr/share/icons/"+filepath.ToSlash(rel), path, 0o644)
	})
}

// layOutDocs puts what Debian wants below /usr/share/doc into place.
func (r *release) layOutDocs(t tree) error {
	third, err := os.ReadFile(filepath.Join(r.work, "THIRD-PARTY-LICENCES.txt"))
	if err != nil {
		return err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	for _, pkg := range []string{"melon", "melon-desktop", "melon-mta"} {
		doc := "usr/share/doc/" + pkg + "/"
		changelog := fmt.Sprintf("%s (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz in the documentation of melon.\n\n -- %s  %s\n",
			pkg, r.version, maintainer, r.date.Format(time.RFC1123Z))
		if err := t.gzip(doc+"changelog.gz", []byte(changelog)); err != nil {
			return err
		}
		if err := t.write(doc+"copyright", debianCopyright(licence), 0o644); err != nil {
			return err
		}
		if err := t.copy("usr/share/lintian/overrides/"+pkg, "packaging/linux/"+pkg+".lintian", 0o644); err != nil {
			return err
		}
	}
	if err := t.gzip("usr/share/doc/melon/CHANGELOG.md.gz", changes); err != nil {
		return err
	}
	return t.gzip("usr/share/doc/melon/THIRD-PARTY-LICENCES.txt.gz", third)
}

// debianCopyright is the machine-readable copyright file (DEP-5).
func debianCopyright(licence []byte) []byte {
	_, terms, _ := strings.Cut(string(licence), "\n\n") // below the title
	owner, terms, _ := strings.Cut(terms, "\n\n")
	var b strings.Builder
	fmt.Fprintf(&b, `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Melon
Comment: The programs are linked statically. The licences of the libraries in
 them are in /usr/share/doc/melon/THIRD-PARTY-LICENCES.txt.gz.

Files: *
Copyright: %s
License: Expat

License: Expat
`, strings.TrimPrefix(strings.TrimSpace(owner), "Copyright (c) "))
	for line := range strings.Lines(strings.TrimSpace(terms)) {
		if line = strings.TrimSpace(line); line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return []byte(b.String())
}

// nfpm packs one package from its description in packaging/linux.
func (r *release) nfpm(t tree, p platform, name, format string) error {
	source, err := template.ParseFiles("packaging/linux/" + name + ".yaml")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = source.Execute(&b, map[string]any{
		"Arch": p.arch, "Version": r.version, "Maintainer": maintainer, "Root": t.dir, "GTK": r.gtk && p == native,
		"Date": r.date.Format(time.RFC3339), "Format": format,
	})
	if err != nil {
		return err
	}
	config := filepath.Join(r.work, fmt.Sprintf("%s-%s-%s.yaml", name, p.arch, format))
	if err := os.WriteFile(config, b.Bytes(), 0o644); err != nil {
		return err
	}
	env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix())}
	return command(env, "go", "run", nfpm, "package", "--config", config, "--packager", format, "--target", r.out)
}

// tarball packs the programs for systems without either kind of package.
func (r *release) tarball(p platform) error {
	name := fmt.Sprintf("melon-%s-linux-%s", r.fileVersion(), p.arch)
	t, err := r.newTree(name)
	if err != nil {
		return err
	}
	if err := r.layOutCommon(t, p); err != nil {
		return err
	}
	for from, to := range map[string]string{"bash": "completion/melon.bash", "zsh": "completion/_melon", "fish": "completion/melon.fish"} {
		if err := t.copy(to, filepath.Join(r.work, "completion", from), 0o644); err != nil {
			return err
		}
	}
	pages, err := r.manuals()
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := t.copy("man/man"+manSection(page)+"/"+filepath.Base(page), page, 0o644); err != nil {
			return err
		}
	}
	return t.tarGz(filepath.Join(r.out, name+".tar.gz"), name)
}

// layOutCommon puts in what every archive has: programs, licences, how to begin.
func (r *release) layOutCommon(t tree, p platform) error {
	suffix := ""
	if p.os == "windows" {
		suffix = ".exe"
	}
	for _, name := range []string{"melon", "melon-tray"} {
		if err := t.copy(name+suffix, r.bin(p, name), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"LICENSE", "README.md", "README.ja.md", "CHANGELOG.md"} {
		if err := t.copy(name, name, 0o644); err != nil {
			return err
		}
	}
	return t.copy("THIRD-PARTY-LICENCES.txt", filepath.Join(r.work, "THIRD-PARTY-LICENCES.txt"), 0o644)
}
