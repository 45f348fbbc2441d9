//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// door is a server as an app has it in its settings.
type door struct {
	Addr string
	CA   []byte // PEM: implicit TLS, trusting this; nil: no TLS
	User string // "" does not log in
	Pass string
	POP  string // address of a POP3 server to log in to first, in clear
}

// messages counts those of this run.
var messages atomic.Int64

// app is a plain mail app's connection: one command at a time.
type app struct {
	conn net.Conn
	r    *bufio.Reader
}

// The envelope of every message.
const (
	sender    = "taro@provider-a.example"
	recipient = "hanako@elsewhere.example"
)

// message makes one of about n octets in lines of 76.
func message(n int) []byte {
	var b strings.Builder
	b.WriteString("From: " + sender + "\r\nTo: " + recipient + "\r\nSubject: bench\r\n" +
		"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n")
	line := strings.Repeat("melon pan ", 8)[:76] + "\r\n"
	for b.Len() < n {
		b.WriteString(line)
	}
	return []byte(b.String())
}

// open connects, says EHLO and logs in.
func (d door) open(ctx context.Context) (*app, error) {
	if d.POP != "" {
		if err := d.popLogin(ctx); err != nil {
			return nil, fmt.Errorf("POP: %w", err)
		}
	}
	nd := net.Dialer{Timeout: 30 * time.Second}
	conn, err := nd.DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, err
	}
	if d.CA != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(d.CA)
		conn = tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	}
	a := &app{conn: conn, r: bufio.NewReader(conn)}
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	steps := []string{"", "EHLO [127.0.0.1]"}
	if d.User != "" && d.POP == "" {
		steps = append(steps, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+d.User+"\x00"+d.Pass)))
	}
	for _, s := range steps {
		if _, err := a.command(s); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return a, nil
}

// popLogin logs in by POP3, as a mail app that is asked for mail before sending.
func (d door) popLogin(ctx context.Context) error {
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, "tcp", d.POP)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, line := range []string{"", "USER " + d.User, "PASS " + d.Pass, "QUIT"} {
		if line != "" {
			fmt.Fprintf(conn, "%s\r\n", line)
		}
		if reply, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(reply, "+OK") {
			return fmt.Errorf("%s: %q, %w", strings.Fields(line + " greeting")[0], reply, err)
		}
	}
	return nil
}

// command sends a line, unless it is empty, and returns the reply, which must be
// a good one.
func (a *app) command(line string) (string, error) {
	if line != "" {
		if _, err := a.conn.Write([]byte(line + "\r\n")); err != nil {
			return "", err
		}
	}
	for {
		reply, err := a.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(reply) < 4 || reply[0] != '2' && reply[0] != '3' {
			verb, _, _ := strings.Cut(line, " ")
			return "", fmt.Errorf("%s: %s", verb, strings.TrimSpace(reply))
		}
		if reply[3] == ' ' {
			return reply, nil
		}
	}
}

// send hands in one message, command by command, and returns the last reply.
func (a *app) send(body []byte) (string, error) {
	for _, line := range []string{"MAIL FROM:<" + sender + ">", "RCPT TO:<" + recipient + ">", "DATA"} {
		if _, err := a.command(line); err != nil {
			return "", err
		}
	}
	// No two messages are the same: Melon would hold a second one of unknown
	// outcome for a repetition.
	id := fmt.Appendf(nil, "Message-ID: <%d.%d@provider-a.example>\r\n", os.Getpid(), messages.Add(1))
	parts := net.Buffers{id, body, []byte(".\r\n")}
	if len(body) < 64<<10 { // in one piece, as apps do
		parts = net.Buffers{slices.Concat(parts...)}
	}
	if _, err := parts.WriteTo(a.conn); err != nil {
		return "", err
	}
	return a.command("")
}

// quit ends the connection, politely as far as that costs no time.
func (a *app) quit() {
	a.conn.Write([]byte("QUIT\r\n"))
	a.conn.Close()
}

// once sends one message on a connection of its own.
func (d door) once(ctx context.Context, body []byte) (string, error) {
	a, err := d.open(ctx)
	if err != nil {
		return "", err
	}
	defer a.quit()
	return a.send(body)
}
