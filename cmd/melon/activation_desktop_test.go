//go:build desktop && linux

package main

import (
	"context"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"melon/upstream/lab"
)

// TestDesktopSocketActivation: nothing runs until the first connection, which
// starts Melon; its message goes out.
func TestDesktopSocketActivation(t *testing.T) {
	t.Parallel()
	p, err := lab.Start(lab.Options{Rules: lab.Rules{Open: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	host, port, err := net.SplitHostPort(p.SMTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, `listen: {smtp: ["`+addr+`"]}
control: {web: "off"}
accounts:
  home: {address: taro@provider-a.example, auth: none, smtp: {host: `+host+`, port: `+port+`, security: none}}
default: home
`)
	melon := h.command("run")
	args := []string{"--listen=" + addr}
	for _, v := range melon.Env { // systemd-socket-activate passes none on by itself
		args = append(args, "--setenv="+v)
	}
	cmd := exec.Command("systemd-socket-activate", append(args, melon.Args...)...)
	cmd.Env, cmd.Stderr = melon.Env, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (see .ci/packages.txt for what these tests need)", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil { // it became Melon, which ends by itself with 0
			t.Error(err)
		}
	})
	if _, err := os.Stat(h.state); err == nil {
		t.Error("Melon ran before anybody connected")
	}
	msg := []byte("From: taro@provider-a.example\r\nTo: hanako@other.example\r\nSubject: first\r\n\r\nhello\r\n")
	for end := time.Now().Add(30 * time.Second); ; { // systemd-socket-activate does not say when it listens
		err = smtp.SendMail(addr, nil, "taro@provider-a.example", []string{"hanako@other.example"}, msg)
		if err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := p.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if s := jsonOf[struct{ Listeners []struct{ Address string } }](h, "status"); len(s.Listeners) != 1 || s.Listeners[0].Address != addr {
		t.Errorf("%+v", s)
	}
}
