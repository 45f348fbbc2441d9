package smtpin

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asAttacker makes the test binary an app that connects, and says what it hears.
const asAttacker = "MELON_TEST_CONNECT_TO"

// TestMain runs the attacker where it is asked to.
func TestMain(m *testing.M) {
	addr := os.Getenv(asAttacker)
	if addr == "" {
		os.Exit(m.Run())
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		fmt.Println("cannot connect:", err)
		os.Exit(1)
	}
	fmt.Fprint(c, "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 0 LAST\r\nQUIT\r\n")
	if os.Getenv("MELON_TEST_HALF_CLOSE") != "" {
		c.(*net.TCPConn).CloseWrite()
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		fmt.Println(lines.Text())
	}
}

// connectAs lets a process of another user (0: this one) connect.
func connectAs(t *testing.T, uid uint32, addr string, env ...string) string {
	t.Helper()
	self := filepath.Join(t.TempDir(), "app")
	for dir := filepath.Dir(self); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	bin, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, bin, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append([]string{asAttacker + "=" + addr}, env...)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("app: %v", err)
	}
	return string(out)
}

// TestRealPeers asks the kernel: this user's processes come in by every address,
// another user's by none. (Only root can make a process of another user; others
// test that they themselves come in.)
func TestRealPeers(t *testing.T) {
	t.Parallel()
	listen := []string{"127.0.0.1:0"}
	if ln, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		ln.Close()
		listen = append(listen, "[::1]:0")
	}
	r := &recorder{}
	s := start(t, Options{Handler: r, Peers: systemPeers{}, Listen: Listen{SMTP: listen}})
	if !s.Enforced() {
		t.Error("not enforced")
	}
	for _, a := range s.Addresses() {
		for _, env := range []string{"MELON_TEST_HALF_CLOSE=", "MELON_TEST_HALF_CLOSE=1"} {
			if out := connectAs(t, 0, a.Addr, env); !strings.Contains(out, "221 2.0.0 Bye") {
				t.Errorf("%s: own process got %q", a.Addr, out)
			}
			seen := len(r.all())
			if os.Geteuid() != 0 {
				continue
			}
			out := connectAs(t, 12345, a.Addr, env)
			if !strings.HasPrefix(out, "554 5.7.1 This Melon takes mail from its own user's programs only") || strings.Count(out, "\n") != 1 {
				t.Errorf("%s: another user's process got %q", a.Addr, out)
			}
			if len(r.all()) != seen {
				t.Error("another user's message was taken")
			}
		}
	}
}

// sockets opens a connection the way asked for and returns both ends'
// addresses as the server sees them.
func sockets(t *testing.T, listen string, dial func(addr string) net.Conn) (c net.Conn, local, remote netip.AddrPort) {
	t.Helper()
	ln, err := net.Listen("tcp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	c = dial(ln.Addr().String())
	t.Cleanup(func() { c.Close() })
	served, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { served.Close() })
	return c, addrPort(served.LocalAddr()), addrPort(served.RemoteAddr())
}

func plainDial(t *testing.T) func(string) net.Conn {
	return func(addr string) net.Conn {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// dualDial connects to an IPv4 address with an IPv6 socket, as apps do that
// know no difference.
func dualDial(t *testing.T) func(string) net.Conn {
	return func(addr string) net.Conn {
		to := netip.MustParseAddrPort(addr)
		fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}); err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestFindSocket: both ways of asking find the app's end, in both tables, and
// nothing else.
func TestFindSocket(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*testing.T) func(string) net.Conn{"IPv4": plainDial, "dual stack": dualDial} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, local, remote := sockets(t, "127.0.0.1:0", dial(t))
			fromProc := tcpSocket{}
			for s, err := range procSockets("/proc/net") {
				if err != nil {
					t.Fatal(err)
				}
				if s.local == remote && s.remote == local {
					fromProc = s
				}
			}
			for how, find := range map[string]func(local, remote netip.AddrPort) (tcpSocket, error){"sock_diag": diagSocket, "either": findSocket} {
				got, err := find(remote, local)
				if err != nil || got.uid != uint32(os.Geteuid()) || got.inode == 0 || got != fromProc {
					t.Errorf("%s: %+v, %v; /proc says %+v", how, got, err, fromProc)
				}
			}
			same, user, err := systemPeers{}.SameUser(local, remote)
			if !same || err != nil || user != fmt.Sprintf("uid %d", os.Geteuid()) {
				t.Errorf("%v, %q, %v", same, user, err)
			}
		})
	}
}

// TestNoOwner: an app that has closed its end has no owner; a port where
// somebody merely listens is not the app either.
func TestNoOwner(t *testing.T) {
	t.Parallel()
	c, local, remote := sockets(t, "127.0.0.1:0", plainDial(t))
	c.Close()
	if same, _, err := (systemPeers{}).SameUser(local, remote); same || !errors.Is(err, errNoSocket) {
		t.Errorf("closed: %v, %v", same, err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	here := addrPort(ln.Addr())
	if same, _, err := (systemPeers{}).SameUser(netip.MustParseAddrPort("127.0.0.1:1"), here); same || !errors.Is(err, errNoSocket) {
		t.Errorf("a listener: %v, %v", same, err)
	}
}

// TestProcSockets reads the kernel's tables as text, with lines that are none.
func TestProcSockets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line string
		want string
	}{
		{"  0: 0100007F:09DD 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 0 0 10 -1",
			"127.0.0.1:2525 127.0.0.1:54321 false 1000 4711 true"},
		{"  1: 0000000000000000FFFF00000100007F:09DD 0000000000000000FFFF00000100007F:D431 01 0:0 0:0 0 7 0 8",
			"127.0.0.1:2525 127.0.0.1:54321 false 7 8 true"},
		{"  2: 00000000000000000000000001000000:09DD 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9",
			"[::1]:2525 [::]:0 true 0 9 true"},
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "invalid AddrPort invalid AddrPort false 0 0 false"},
		{"", "invalid AddrPort invalid AddrPort false 0 0 false"},
		{"0: 0100007F 0100007F:1 01 0 0 0 0 0 0", "invalid AddrPort invalid AddrPort false 0 0 false"},
		{"0: XX00007F:1 0100007F:1 01 0 0 0 0 0 0", "invalid AddrPort invalid AddrPort false 0 0 false"},
	} {
		s, ok := parseProcSocket(tc.line)
		if got := fmt.Sprint(s.local, s.remote, s.listening, s.uid, s.inode, ok); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.line, got, tc.want)
		}
	}
	for range procSockets(t.TempDir()) {
		t.Error("a socket out of nothing")
	}
}
