//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// statusField returns a field of /proc/PID/status in its own unit (kB).
func statusField(path, name string) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		key, value, _ := strings.Cut(string(line), ":")
		if f := strings.Fields(value); key == name && len(f) > 0 {
			return strconv.ParseInt(f[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// resident returns a process's resident memory and the most of it since
// resetPeak, in octets.
func resident(pid int) (now, peak int64, err error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	if now, err = statusField(path, "VmRSS"); err == nil {
		peak, err = statusField(path, "VmHWM")
	}
	return now << 10, peak << 10, err
}

// resetPeak makes the present memory the most so far (proc(5), clear_refs).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// switches counts the times that the threads of a process gave up the processor
// by themselves: to sleep, so once for each time that it was woken.
func switches(pid int) (n int64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		v, err := statusField(t, "voluntary_ctxt_switches")
		if err != nil {
			return 0, err
		}
		n += v
	}
	return n, err
}

// session lists the processes of a session, by proc(5)'s stat.
func session(sid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		f, pid := statFields(name)
		if len(f) > 3 && f[3] == strconv.Itoa(sid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// children lists the child processes of this one.
func children() (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		f, pid := statFields(name)
		if len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// statFields returns what follows the name in a stat file: state, parent, group,
// session and so on.
func statFields(path string) ([]string, int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0 // it ended meanwhile
	}
	pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])), pid
}

// share returns the memory of a session's processes, each page shared by n of
// all processes counted as a n-th, in octets.
func share(sid int) (sum int64) {
	for _, pid := range session(sid) {
		f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
				sum += kb << 10
			}
		}
		f.Close()
	}
	return sum
}

// peakShare samples share until stop is called, which returns the most of it.
func peakShare(sid int) (stop func() int64) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	var most int64
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, share(sid))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() int64 {
		close(done)
		wg.Wait()
		return most
	}
}

// processor returns the processor time that a process has used.
func processor(pid int) time.Duration {
	f, _ := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}
