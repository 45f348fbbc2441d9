package smtpin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// systemPeers asks the system which process has the other end of a loopback
// connection (GetExtendedTcpTable) and whose process that is. An app that
// opened an IPv6 socket for IPv4 is in the IPv6 table.
type systemPeers struct{}

// Classes of GetExtendedTcpTable (TCP_TABLE_CLASS in iprtrmib.h).
const (
	tcpTableOwnerPIDListener    = 3
	tcpTableOwnerPIDConnections = 4
)

// tcpRow is one row of MIB_TCPTABLE_OWNER_PID or MIB_TCP6TABLE_OWNER_PID.
type tcpRow struct {
	local, remote netip.AddrPort
	pid           uint32
}

var errNoSocket = errors.New("no such socket")

// Enforced implements PeerLookup.
func (systemPeers) Enforced() bool { return true }

// SameUser implements PeerLookup. The peer's own socket has its addresses the
// other way round.
func (systemPeers) SameUser(local, remote netip.AddrPort) (bool, string, error) {
	var table []tcpRow
	for _, family := range []uint32{windows.AF_INET, windows.AF_INET6} {
		rows, err := tcpTable(family, tcpTableOwnerPIDConnections)
		if err != nil {
			return false, "", err
		}
		table = append(table, rows...)
	}
	for _, row := range table {
		if row.local != remote || row.remote != local || row.pid == 0 {
			continue
		}
		theirs, err := processUser(row.pid)
		if err != nil {
			return false, "", fmt.Errorf("finding the user of process %d: %w", row.pid, err)
		}
		ours, err := windows.GetCurrentProcessToken().GetTokenUser()
		if err != nil {
			return false, "", err
		}
		return theirs.Equals(ours.User.Sid), theirs.String(), nil
	}
	return false, "", fmt.Errorf("finding the owner of %s: %w", remote, errNoSocket)
}

// processUser returns the user that a process runs as.
func processUser(pid uint32) (*windows.SID, error) {
	p, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(p)
	var t windows.Token
	if err := windows.OpenProcessToken(p, windows.TOKEN_QUERY, &t); err != nil {
		return nil, err
	}
	defer t.Close()
	u, err := t.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return u.User.Sid.Copy()
}

// tcpTable reads one of the system's tables of TCP sockets. It grows between
// asking for its size and reading it, so that is tried some times.
func tcpTable(family, class uint32) ([]tcpRow, error) {
	get := windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")
	if err := get.Find(); err != nil {
		return nil, err
	}
	size := uint32(64 << 10)
	for range 8 {
		buf := make([]byte, size)
		code, _, _ := get.Call(uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0,
			uintptr(family), uintptr(class), 0)
		switch windows.Errno(code) {
		case 0:
			return parseTable(family, buf), nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += 16 << 10
		default:
			return nil, fmt.Errorf("reading the table of TCP connections: %w", windows.Errno(code))
		}
	}
	return nil, errors.New("reading the table of TCP connections: it keeps growing")
}

// parseTable reads the rows: six 32-bit fields for IPv4 (state, local address
// and port, remote address and port, process), fourteen for IPv6 (local
// address, scope and port, the same for remote, state, process). Ports are in
// network order in the first two octets.
func parseTable(family uint32, b []byte) []tcpRow {
	count := binary.NativeEndian.Uint32(b)
	b = b[4:]
	size := 24
	if family == windows.AF_INET6 {
		size = 56
	}
	var rows []tcpRow
	for ; count > 0 && len(b) >= size; count, b = count-1, b[size:] {
		if family == windows.AF_INET6 {
			rows = append(rows, tcpRow{
				local:  rowAddr(b[0:16], b[20:]),
				remote: rowAddr(b[24:40], b[44:]),
				pid:    binary.NativeEndian.Uint32(b[52:]),
			})
			continue
		}
		rows = append(rows, tcpRow{
			local:  rowAddr(b[4:8], b[8:]),
			remote: rowAddr(b[12:16], b[16:]),
			pid:    binary.NativeEndian.Uint32(b[20:]),
		})
	}
	return rows
}

func rowAddr(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// portHolder names the program that listens at an address that is in use.
func portHolder(addr netip.AddrPort) string {
	for _, family := range []uint32{windows.AF_INET, windows.AF_INET6} {
		rows, err := tcpTable(family, tcpTableOwnerPIDListener)
		if err != nil {
			return ""
		}
		for _, r := range rows {
			same := r.local.Addr() == addr.Addr() || r.local.Addr().IsUnspecified() || addr.Addr().IsUnspecified()
			if same && r.local.Port() == addr.Port() {
				return processName(r.pid)
			}
		}
	}
	return ""
}

func processName(pid uint32) string {
	p, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	defer windows.CloseHandle(p)
	name := make([]uint16, windows.MAX_LONG_PATH)
	n := uint32(len(name))
	if err := windows.QueryFullProcessImageName(p, 0, &name[0], &n); err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (process %d)", filepath.Base(windows.UTF16ToString(name[:n])), pid)
}
