//go:build realmail

package realmail

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// imageAge is how long an image is used before apt is asked for newer packages.
const imageAge = 24 * time.Hour

// imageFormat is a part of the image's name: a new number makes a new image.
const imageFormat = "1"

// hostTools are programs of this machine that the provider's two scripts use.
var hostTools = []string{"/bin/sh", "/usr/bin/find"}

// wantedFiles chooses what the image takes from the packages: programs,
// libraries and tables, but no documentation, init scripts and plugins.
var wantedFiles = regexp.MustCompile(`^usr/(` +
	`lib/postfix/(libpostfix-.*|sbin/.*)|` +
	`lib/dovecot/([^/]*|modules/(libssl_iostream_openssl|old-stats/).*)|` +
	`lib/[^/]*-linux-[^/]*/[^/]*\.so[^/]*|` +
	`s?bin/(postconf|postfix|postqueue|dovecot|doveconf|doveadm)|` +
	`share/postfix/dynamicmaps\.cf)$`)

// image returns the directory that every provider is a copy of. It is made
// once a process, and kept for the next.
var image = sync.OnceValues(func() (string, error) {
	cache := filepath.Dir(os.Getenv(scratchVar))
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // ends the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "image-"+imageFormat)
	if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) < imageAge {
		return dir, nil
	}
	packages, err := downloadPackages(filepath.Join(cache, "packages"))
	if err != nil {
		return "", err
	}
	made, err := makeImage(packages)
	if err != nil {
		return "", fmt.Errorf("unpacking Postfix and Dovecot: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Rename(made, dir)
})

// downloadPackages returns the package files, which are in dir.
func downloadPackages(dir string) ([]string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("../../.ci/realmail", dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf(".ci/realmail: %w\n%s", err, stderr.Bytes())
	}
	var files []string
	for name := range strings.FieldsSeq(string(out)) {
		files = append(files, filepath.Join(dir, name))
	}
	return files, nil
}

// makeImage unpacks the packages and returns a directory in which their
// programs run by chroot(2).
func makeImage(packages []string) (string, error) {
	scratch := os.Getenv(scratchVar)
	raw, made := filepath.Join(scratch, "unpacked"), filepath.Join(scratch, "image")
	for _, p := range packages {
		if out, err := exec.Command("dpkg", "-x", p, raw).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dpkg -x %s: %w: %s", p, err, out)
		}
	}
	if err := layOut(made); err != nil {
		return "", err
	}
	var taken []string // relative to made
	err := filepath.WalkDir(raw, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel := merged(strings.TrimPrefix(path, raw+"/"))
		if !wantedFiles.MatchString(rel) {
			return nil
		}
		taken = append(taken, rel)
		return copyFile(path, filepath.Join(made, rel))
	})
	if err != nil {
		return "", err
	}
	for _, tool := range hostTools {
		real, err := filepath.EvalSymlinks(tool)
		if err != nil {
			return "", err
		}
		if err := copyFile(real, filepath.Join(made, merged(tool[1:]))); err != nil {
			return "", err
		}
		taken = append(taken, merged(tool[1:]))
	}
	if err := addLibraries(made, taken); err != nil {
		return "", err
	}
	return made, os.RemoveAll(raw)
}

// layOut makes an empty root directory whose /bin, /lib and the like lead into
// /usr, as in today's Debian.
func layOut(dir string) error {
	for _, d := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "etc", "run", "var/lib", "var/spool", "var/mail"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+d, filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	return nil
}

// merged turns a path of a package made before /bin and /lib moved to /usr
// into today's.
func merged(rel string) string {
	for _, d := range []string{"bin/", "sbin/", "lib/", "lib64/"} {
		if strings.HasPrefix(rel, d) {
			return "usr/" + rel
		}
	}
	return rel
}

// addLibraries copies the machine's shared libraries that the programs in the
// image need and the image does not have.
func addLibraries(dir string, files []string) error {
	search := []string{"usr/lib/postfix", "usr/lib/dovecot", "usr/lib/dovecot/modules", "usr/lib/dovecot/modules/old-stats"}
	multiarch, err := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-*"))
	if err != nil {
		return err
	}
	for i := range search {
		search[i] = filepath.Join(dir, search[i])
	}
	env := append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(append(search, multiarch...), ":"))
	var programs []string
	for _, f := range files {
		path := filepath.Join(dir, f)
		if e, err := elf.Open(path); err == nil {
			e.Close()
			programs = append(programs, path)
		}
	}
	cmd := exec.Command("ldd", programs...)
	cmd.Env = env
	out, err := cmd.Output() // fails for a program without libraries, which is none of ours
	if err != nil {
		return fmt.Errorf("ldd: %w", err)
	}
	for line := range bytes.Lines(out) {
		if err := addLibrary(dir, string(line)); err != nil {
			return err
		}
	}
	return nil
}

// addLibrary reads a line of ldd, such as
//
//	libcrypto.so.3 => /lib/x86_64-linux-gnu/libcrypto.so.3 (0x00007f…)
//	/lib64/ld-linux-x86-64.so.2 (0x00007f…)
func addLibrary(dir, line string) error {
	if strings.Contains(line, "not found") {
		return errors.New("a library is missing: " + strings.TrimSpace(line))
	}
	if _, after, ok := strings.Cut(line, "=>"); ok {
		line = after
	}
	path, _, ok := strings.Cut(strings.TrimSpace(line), " (")
	if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, dir) {
		return nil
	}
	target := filepath.Join(dir, merged(path[1:]))
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	return copyFile(path, target)
}

// copyFile copies a regular file, or what a symbolic link leads to.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// cloneImage makes dir a copy of the image by hard links: what a provider
// changes must be a file of its own.
func cloneImage(dir string) error {
	from, err := image()
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		}
		return os.Link(path, to)
	})
}

// accounts writes the provider's own users and groups.
func accounts(dir string) error {
	users := []string{"root:0:0", "postfix:110:110", "dovecot:111:111", "dovenull:112:112", "vmail:5000:5000", "nobody:65534:65534"}
	groups := []string{"root:0", "postfix:110", "dovecot:111", "dovenull:112", "postdrop:120", "vmail:5000", "nogroup:65534"}
	var passwd, group bytes.Buffer
	for _, u := range users {
		f := strings.Split(u, ":")
		fmt.Fprintf(&passwd, "%s:x:%s:%s::/nonexistent:/usr/sbin/nologin\n", f[0], f[1], f[2])
	}
	for _, g := range groups {
		f := strings.Split(g, ":")
		fmt.Fprintf(&group, "%s:x:%s:\n", f[0], f[1])
	}
	for name, data := range map[string][]byte{
		"etc/passwd":        passwd.Bytes(),
		"etc/group":         group.Bytes(),
		"etc/nsswitch.conf": []byte("passwd: files\ngroup: files\nhosts: files\nservices: files\n"),
		"etc/hosts":         []byte("127.0.0.1 localhost\n"),
		"etc/services":      []byte("smtp 25/tcp\npop3 110/tcp\n"),
		"dev/null":          nil, // good enough where mknod(2) is not allowed
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(dir, "dev/null"), 0o666)
}
