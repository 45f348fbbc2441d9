//go:build unix

package chaos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// asAttacker makes the test binary an attacker: its value is the process number
// of the victim, its arguments are the listener's address, the web page's and
// the state directory.
const asAttacker = "MELON_TEST_ATTACK"

// attackAs tries everything that another user of the machine may try, and prints
// what came of each attempt, one a line.
func attackAs(pid string, args []string) int {
	smtp, web, state := args[0], args[1], args[2]
	fmt.Printf("smtp: %s\n", talk("tcp", smtp, "EHLO x\r\nMAIL FROM:<taro@provider-a.example>\r\nRCPT TO:<spam@elsewhere.example>\r\nDATA\r\n\r\nbuy\r\n.\r\nQUIT\r\n"))
	fmt.Printf("socket: %s\n", talk("unix", filepath.Join(state, "control.sock"), "POST /v1/stop HTTP/1.0\r\n\r\n"))
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + web + "/v1/status")
	if err == nil {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		resp.Body.Close()
		fmt.Printf("web: %d %q\n", resp.StatusCode, b)
	} else {
		fmt.Printf("web: %v\n", err)
	}
	for _, name := range []string{"", "outbox", "outbox/lock", "learned.json", "../secret", "../config.yaml", "control.sock"} {
		path := filepath.Join(state, name)
		_, err := os.ReadFile(path)
		_, derr := os.ReadDir(path)
		fmt.Printf("read %s: %v, %v\n", name, err, derr)
		werr := os.WriteFile(filepath.Join(path, "planted"), []byte("x"), 0o600)
		fmt.Printf("write %s: %v\n", name, werr)
	}
	for _, file := range []string{"environ", "mem", "fd", "maps"} {
		f, err := os.Open("/proc/" + pid + "/" + file)
		if err == nil {
			f.Close()
		}
		fmt.Printf("proc %s: %v\n", file, err)
	}
	n := 0
	_, _ = fmt.Sscan(pid, &n)
	fmt.Printf("kill: %v\n", syscall.Kill(n, syscall.SIGTERM))
	return 0
}

// talk says something and returns what it hears.
func talk(network, addr, say string) string {
	c, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return "cannot connect: " + err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, say)
	b, _ := io.ReadAll(io.LimitReader(c, 4096))
	return fmt.Sprintf("%q", strings.TrimSpace(string(b)))
}
