package auth

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	stop := prepareKeyring()
	code := m.Run()
	stop()
	if code == 0 {
		code = leftGoroutines()
	}
	os.Exit(code)
}

// leftGoroutines reports goroutines of this package that outlived every test.
func leftGoroutines() int {
	buf := make([]byte, 1<<20)
	deadline := time.Now().Add(2 * time.Second)
	for {
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		var left []string
		for _, s := range stacks[1:] { // the first is this one
			if strings.Contains(s, "melon/upstream/auth") {
				left = append(left, s)
			}
		}
		if len(left) == 0 {
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", strings.Join(left, "\n\n"))
			return 1
		}
		runtime.Gosched()
	}
}
