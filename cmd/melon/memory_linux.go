package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// releaseCode takes the program's machine code out of this process's resident
// memory. What runs again is mapped again from the page cache, some hundred
// kilobytes a fault; what ran once (the start, a page of set-up) stays away. Only
// read-only mappings of the program's own file are touched, so nothing is lost.
// Where the system shows no mappings it does nothing.
func releaseCode() {
	for _, m := range codeMappings() {
		// A refusal leaves things as they are.
		syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// codeMappings lists where the program's own file is mapped to be executed and
// cannot be written.
func codeMappings() (code []mapping) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 00400000-00b5e000 r-xp 00000000 fe:00 131 /usr/bin/melon
		var m mapping
		line := lines.Text()
		if !strings.HasSuffix(line, " "+program) || !strings.Contains(line, " r-xp ") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &m.start, &m.end); err == nil && m.start < m.end {
			code = append(code, m)
		}
	}
	return code
}
