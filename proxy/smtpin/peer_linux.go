package smtpin

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// systemPeers asks the kernel who owns the other end of a loopback connection.
//
// The question is an exact one for the one socket (sock_diag(7), struct
// inet_diag_req_v2), not a listing of all: it costs some microseconds however
// many sockets there are. An app that opened an IPv6 socket for IPv4 is found
// in either table. A kernel without the module is asked through /proc/net.
type systemPeers struct{}

// sock_diag's message type, and the length of its request and of the part of
// its answer that is read (linux/sock_diag.h, linux/inet_diag.h).
const (
	sockDiagByFamily  = 20
	sizeofDiagRequest = 56
	sizeofDiagMessage = 72
)

// tcpSocket is one end of a TCP connection.
type tcpSocket struct {
	local, remote netip.AddrPort
	listening     bool
	uid           uint32
	inode         uint64 // 0: no process holds it any more
}

var errNoSocket = errors.New("no such socket")

// Enforced implements PeerLookup.
func (systemPeers) Enforced() bool { return true }

// SameUser implements PeerLookup. The peer's own socket has its addresses the
// other way round. A socket that its process has closed already has no owner
// that could be trusted (the kernel says 0, which is root): it is refused.
func (systemPeers) SameUser(local, remote netip.AddrPort) (bool, string, error) {
	sock, err := findSocket(remote, local)
	switch {
	case err != nil:
		return false, "", fmt.Errorf("finding the owner of %s: %w", remote, err)
	case sock.inode == 0:
		return false, "", fmt.Errorf("finding the owner of %s: %w", remote, errNoSocket)
	}
	return sock.uid == uint32(os.Geteuid()), "uid " + strconv.FormatUint(uint64(sock.uid), 10), nil
}

// findSocket returns the socket with exactly these addresses.
func findSocket(local, remote netip.AddrPort) (tcpSocket, error) {
	sock, err := diagSocket(local, remote)
	if err == nil {
		return sock, nil
	}
	var found tcpSocket
	perr := errNoSocket
	for s, e := range procSockets("/proc/net") {
		if e != nil {
			return tcpSocket{}, errors.Join(err, e)
		}
		if s.local == local && s.remote == remote {
			found, perr = s, nil
			break
		}
	}
	return found, perr
}

// diagSocket asks sock_diag, first in the table of the addresses' own family,
// then, for IPv4, in the table of IPv6.
func diagSocket(local, remote netip.AddrPort) (tcpSocket, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return tcpSocket{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return tcpSocket{}, err
	}
	families := []uint8{unix.AF_INET6}
	if local.Addr().Is4() {
		families = []uint8{unix.AF_INET, unix.AF_INET6}
	}
	for _, family := range families {
		var sock tcpSocket
		sock, err = diagQuery(c, family, local, remote)
		if err == nil {
			return sock, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoSocket) {
			break
		}
	}
	return tcpSocket{}, err
}

// diagQuery makes one query and checks that the answer is about that socket:
// without an exact match the kernel answers with a listener on the port.
func diagQuery(c *netlink.Conn, family uint8, local, remote netip.AddrPort) (tcpSocket, error) {
	req := make([]byte, sizeofDiagRequest)
	req[0], req[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(req[4:], ^uint32(0)) // every state
	binary.BigEndian.PutUint16(req[8:], local.Port())
	binary.BigEndian.PutUint16(req[10:], remote.Port())
	copy(req[12:], addrBytes(family, local.Addr()))
	copy(req[28:], addrBytes(family, remote.Addr()))
	binary.NativeEndian.PutUint64(req[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request},
		Data:   req,
	})
	if err != nil {
		return tcpSocket{}, err
	}
	for _, m := range msgs {
		if len(m.Data) < sizeofDiagMessage {
			continue
		}
		d := m.Data
		s := tcpSocket{
			local:  netip.AddrPortFrom(bytesAddr(d[0], d[8:24]), binary.BigEndian.Uint16(d[4:])),
			remote: netip.AddrPortFrom(bytesAddr(d[0], d[24:40]), binary.BigEndian.Uint16(d[6:])),
			uid:    binary.NativeEndian.Uint32(d[64:]),
			inode:  uint64(binary.NativeEndian.Uint32(d[68:])),
		}
		if s.local == local && s.remote == remote {
			return s, nil
		}
	}
	return tcpSocket{}, errNoSocket
}

func addrBytes(family uint8, a netip.Addr) []byte {
	if family == unix.AF_INET6 {
		b := a.As16()
		return b[:]
	}
	b := a.As4()
	return b[:]
}

func bytesAddr(family uint8, b []byte) netip.Addr {
	if family == unix.AF_INET6 {
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

// procSockets reads the TCP sockets of the tables tcp and tcp6 in dir, which is
// /proc/net. A table that is not there has none.
func procSockets(dir string) func(yield func(tcpSocket, error) bool) {
	return func(yield func(tcpSocket, error) bool) {
		for _, table := range []string{"tcp", "tcp6"} {
			f, err := os.Open(dir + "/" + table)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(tcpSocket{}, err)
				return
			}
			lines := bufio.NewScanner(f)
			for lines.Scan() {
				if s, ok := parseProcSocket(lines.Text()); ok && !yield(s, nil) {
					f.Close()
					return
				}
			}
			err = lines.Err()
			f.Close()
			if err != nil && !yield(tcpSocket{}, err) {
				return
			}
		}
	}
}

// parseProcSocket reads one line of /proc/net/tcp or tcp6 (proc_net_tcp in the
// kernel's documentation).
func parseProcSocket(line string) (tcpSocket, bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return tcpSocket{}, false
	}
	local, ok1 := parseProcAddr(f[1])
	remote, ok2 := parseProcAddr(f[2])
	uid, err1 := strconv.ParseUint(f[7], 10, 32)
	inode, err2 := strconv.ParseUint(f[9], 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return tcpSocket{}, false
	}
	return tcpSocket{local: local, remote: remote, listening: f[3] == "0A", uid: uint32(uid), inode: inode}, true
}

// parseProcAddr reads "0100007F:09DD": groups of four octets, each as the
// machine's own 32-bit number, and the port.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	addr, port, _ := strings.Cut(s, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(addr) != 8 && len(addr) != 32 {
		return netip.AddrPort{}, false
	}
	var b []byte
	for i := 0; i < len(addr); i += 8 {
		n, err := strconv.ParseUint(addr[i:i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(n))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}
