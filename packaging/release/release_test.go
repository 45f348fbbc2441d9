package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// layOut makes a tree in a fresh directory, with files written in the order given.
func layOut(t *testing.T, names ...string) tree {
	t.Helper()
	r := &release{work: t.TempDir(), date: time.Unix(1_800_000_000, 0).UTC()}
	tr, err := r.newTree("tree")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(n, "bin/") {
			mode = 0o755
		}
		if err := tr.write(n, []byte("content of "+n), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.gzip("doc/changelog.gz", []byte("changes")); err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestArchivesHaveTheSameBytes packs the same files, laid out at another time, in
// another order and in another directory.
func TestArchivesHaveTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, pack := range map[string]func(tree, string) error{
		"tar.gz": func(tr tree, out string) error { return tr.tarGz(out, "melon-1") },
		"zip":    func(tr tree, out string) error { return tr.zip(out, "melon-1") },
	} {
		var packed [][]byte
		for _, tr := range []tree{layOut(t, "bin/melon", "a", "doc/x"), layOut(t, "doc/x", "a", "bin/melon")} {
			out := filepath.Join(t.TempDir(), "out")
			if err := pack(tr, out); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			packed = append(packed, data)
		}
		if !bytes.Equal(packed[0], packed[1]) {
			t.Errorf("%s: the bytes differ", name)
		}
	}
}

func TestArchivesHoldModesAndDates(t *testing.T) {
	t.Parallel()
	tr := layOut(t, "bin/melon", "a")
	out := filepath.Join(t.TempDir(), "out")
	if err := tr.tarGz(out, "melon-1"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(tr.date) || h.Uid != 0 || h.Uname != "root" {
			t.Errorf("%s: %v, %s", h.Name, h.ModTime, h.Uname)
		}
		modes[h.Name] = h.Mode
	}
	if modes["melon-1/bin/melon"] != 0o755 || modes["melon-1/a"] != 0o644 || modes["melon-1/bin/"] != 0o755 {
		t.Errorf("modes %v", modes)
	}
	if err := tr.zip(out, ""); err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, f := range r.File {
		if f.Name == "bin/melon" && f.Mode().Perm() != 0o755 || !f.Modified.Equal(tr.date) {
			t.Errorf("%s: %v, %v", f.Name, f.Mode(), f.Modified)
		}
	}
}

// TestLicencesAreWhole: a module without a text stops the release.
func TestLicencesAreWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b bytes.Buffer
	if err := appendLicences(&b, "example.org/x v1", dir); err == nil {
		t.Error("a module without a licence was taken")
	}
	for _, name := range []string{"LICENSE", "LICENCE.md", "COPYING.txt", "NOTICE", "license_test.go", "PATENTS"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("terms of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendLicences(&b, "example.org/x v1", dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"terms of LICENSE", "terms of LICENCE.md", "terms of COPYING.txt", "terms of NOTICE", "terms of PATENTS", "example.org/x v1 (LICENSE)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(b.String(), "license_test.go") {
		t.Error("a program was taken for a licence")
	}
}

func TestDebianCopyright(t *testing.T) {
	t.Parallel()
	licence, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(debianCopyright(licence))
	for _, want := range []string{"Format: https://www.debian.org/", "\nCopyright: 2026 The Melon authors\n", "\nLicense: Expat\n Permission is hereby granted", "\n .\n THE SOFTWARE IS PROVIDED"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	for line := range strings.Lines(got[strings.LastIndex(got, "License: Expat\n")+15:]) {
		if !strings.HasPrefix(line, " ") {
			t.Errorf("a line that is no continuation: %q", line)
		}
	}
}

func TestVersionsOfFiles(t *testing.T) {
	t.Parallel()
	r := &release{version: "0.0.0~git20261102.abc"}
	if got := r.fileVersion(); got != "0.0.0-git20261102.abc" {
		t.Error(got)
	}
	if got := manSection("melon.yaml.5"); got != "5" {
		t.Error(got)
	}
	if got := (&release{work: "w"}).bin(platform{"windows", "amd64"}, "melon"); !strings.HasSuffix(got, "melon.exe") {
		t.Error(got)
	}
}
