package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Giving back takes code out of resident memory, and the program runs on.
func TestCodeIsReleased(t *testing.T) {
	t.Parallel()
	code := codeMappings()
	if len(code) == 0 {
		t.Fatal("no mapping of the program's own file was found")
	}
	for _, m := range code {
		// All of it resident, to begin with.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_POPULATE_READ); errno != 0 {
			t.Fatal(errno)
		}
	}
	before := residentCode(t)
	giveBack()
	after := residentCode(t)
	if before == 0 || after > before*3/4 {
		t.Errorf("%d kB of code resident, %d kB before it was given back", after, before)
	}
}

// residentCode is how much of the program's code is resident, in kB.
func residentCode(t *testing.T) (sum int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case strings.Contains(line, " r-xp "):
			inside = strings.HasSuffix(strings.TrimSpace(line), " "+program)
		case len(f) > 4:
			inside = false
		case inside && f[0] == "Rss:":
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
