//go:build realmail

package realmail

import (
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
)

// tap stands between one client and Melon, passes everything on as it comes,
// and keeps what the client said.
type tap struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu   sync.Mutex
	said [][]byte // one for each connection
}

// startTap listens until the test ends.
func startTap(t testing.TB, target string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: l, target: target}
	p.wg.Go(p.serve)
	t.Cleanup(p.close)
	return p
}

// close stops listening and waits for the connections to end.
func (p *tap) close() {
	p.listener.Close()
	p.wg.Wait()
}

func (p *tap) addr() *net.TCPAddr { return p.listener.Addr().(*net.TCPAddr) }

func (p *tap) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(client) })
	}
}

// carry passes one connection on in both directions until both have ended.
func (p *tap) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	var heard sync.WaitGroup
	heard.Go(func() {
		io.Copy(client, server)
		client.Close() // Melon closed: so does the client's side
	})
	var said bytes.Buffer
	io.Copy(io.MultiWriter(&said, server), client)
	server.(*net.TCPConn).CloseWrite()
	heard.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, said.Bytes())
}

// message waits until the client has gone and returns the one message that it
// sent: what came between DATA and the lone dot, without the doubled dots (RFC
// 5321 section 4.5.2).
func (p *tap) message(t testing.TB) []byte {
	t.Helper()
	p.close()
	if len(p.said) != 1 {
		t.Fatalf("the client made %d connections, want 1", len(p.said))
	}
	body, err := dataOf(p.said[0])
	if err != nil {
		t.Fatalf("%v, in %.500q", err, p.said[0])
	}
	return body
}

var (
	dataCommand = regexp.MustCompile(`(?i)(?:^|\r\n)DATA\r\n`)
	bdatCommand = regexp.MustCompile(`(?i)(?:^|\r\n)BDAT [0-9]+`)
)

// dataOf finds the message in what a client said in one connection.
func dataOf(said []byte) ([]byte, error) {
	at := dataCommand.FindIndex(said)
	if at == nil {
		if bdatCommand.Match(said) {
			return nil, errors.New("the client used BDAT, which this tap cannot read")
		}
		return nil, errors.New("no DATA")
	}
	lines := said[at[1]-2:] // with the CRLF of DATA, as the dot may follow at once
	end := bytes.Index(lines, []byte("\r\n.\r\n"))
	if end < 0 {
		return nil, errors.New("no lone dot after DATA")
	}
	return bytes.ReplaceAll(lines[:end+2], []byte("\r\n."), []byte("\r\n"))[2:], nil
}
