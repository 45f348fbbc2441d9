//go:build realmail

package realmail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"melon/packaging/rootdir"
)

// imageAge is how long an image is used before apt is asked for newer packages.
const imageAge = 24 * time.Hour

// imageFormat is a part of the image's name: a new number makes a new image.
const imageFormat = "2"

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
	made := filepath.Join(os.Getenv(scratchVar), "image")
	return made, rootdir.Make(context.Background(), made, rootdir.Contents{
		Packages:  packages,
		Want:      wantedFiles.MatchString,
		Tools:     hostTools,
		Libraries: []string{"usr/lib/postfix", "usr/lib/dovecot", "usr/lib/dovecot/modules", "usr/lib/dovecot/modules/old-stats"},
	})
}

// cloneImage makes dir a copy of the image by hard links: what a provider
// changes must be a file of its own.
func cloneImage(dir string) error {
	from, err := image()
	if err != nil {
		return err
	}
	return rootdir.Clone(from, dir)
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
