//go:build desktop && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"melon/proxy/control/api"
)

// TestDesktopIdleCostsNothing: with nothing to do the tray is not woken, and
// its memory is what the driver takes. The figures are logged (go test -v).
func TestDesktopIdleCostsNothing(t *testing.T) {
	t.Parallel()
	// A panel library's own start-up takes a while to come to rest.
	const watch = 3 * time.Second
	for driver, most := range map[string]int{"fyne": 40 << 10, "gtk": 160 << 10} { // kB
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.stand(api.Status{State: api.StateIdle})
			tray := d.tray(driver, d.env)
			d.panel.icon().entry("Start at login")
			calm := 0
			until(t, "a tray that is at rest", func() bool {
				before := switches(t, tray.Process.Pid)
				<-time.After(watch)
				calm = switches(t, tray.Process.Pid) - before
				return calm <= 10 // the scheduler's own, not a ticker's: 3 s of the moving icon are 100 and more
			})
			rss := figure(t, fmt.Sprintf("/proc/%d/status", tray.Process.Pid), "VmRSS:")
			pss := figure(t, fmt.Sprintf("/proc/%d/smaps_rollup", tray.Process.Pid), "Pss:")
			t.Logf("%s: RSS %d kB, PSS %d kB, %d wake-ups in %v", driver, rss, pss, calm, watch)
			if rss > most {
				t.Errorf("%d kB", rss)
			}
		})
	}
}

// switches counts how often any thread went to sleep by itself.
func switches(t *testing.T, pid int) (n int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		n += figure(t, fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()), "voluntary_ctxt_switches:")
	}
	return n
}

// figure reads a number that follows a word at the beginning of a line; 0 when
// there is none.
func figure(t *testing.T, file, word string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		return 0 // a thread that ended
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) > 1 && f[0] == word {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
