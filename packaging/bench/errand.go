//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// errandVar makes this program an app with an errand: apps are processes of their
// own, so that talking to the provider, which is in this one, costs them what it
// costs an app.
const errandVar = "MELON_BENCH_ERRAND"

// errand is what an app is to do.
type errand struct {
	Doors    []door
	Conns    int  // to each door; they stay open
	Messages int  // in all
	Size     int  // octets of each
	InTurn   bool // one message at a time, by each door in turn
}

// outcome is how it went.
type outcome struct {
	Took time.Duration     // from the first command of a message to the last reply
	Each [][]time.Duration // of each message, by door, with InTurn
	Kept int               // replies that said so
	Err  string
}

// send has an app in a process of its own do the errand.
func (e errand) send(ctx context.Context) (o outcome, err error) {
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	what, err := json.Marshal(e)
	if err != nil {
		return o, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), errandVar+"=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(what), os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &o)
	}
	if err == nil && o.Err != "" {
		err = errors.New(o.Err)
	}
	return o, err
}

// many sends n letters over conns connections and returns how long it took.
func (d door) many(ctx context.Context, conns, n int) (time.Duration, error) {
	o, err := errand{Doors: []door{d}, Conns: conns, Messages: n, Size: letterSize}.send(ctx)
	return o.Took, err
}

// runErrand is the app.
func runErrand() {
	var e errand
	var o outcome
	err := json.NewDecoder(os.Stdin).Decode(&e)
	if err == nil {
		err = e.run(context.Background(), &o)
	}
	if err != nil {
		o.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		os.Exit(1)
	}
}

func (e errand) run(ctx context.Context, o *outcome) error {
	var apps []*app
	for _, d := range e.Doors {
		for range e.Conns {
			a, err := d.open(ctx)
			if err != nil {
				return err
			}
			defer a.quit()
			apps = append(apps, a)
		}
	}
	body := message(e.Size)
	start := time.Now()
	defer func() { o.Took = time.Since(start) }()
	if e.InTurn {
		return e.inTurn(apps, body, o)
	}
	results, kept := make(chan error, len(apps)), make(chan int, len(apps))
	for i, a := range apps {
		share := e.Messages / len(apps)
		if i < e.Messages%len(apps) {
			share++
		}
		go func() {
			n := 0
			defer func() { kept <- n }()
			for range share {
				reply, err := a.send(body)
				if err != nil {
					results <- err
					return
				}
				if isKept(reply) {
					n++
				}
			}
			results <- nil
		}()
	}
	var all error
	for range apps {
		all = errors.Join(all, <-results)
		o.Kept += <-kept
	}
	return all
}

func (e errand) inTurn(apps []*app, body []byte, o *outcome) error {
	o.Each = make([][]time.Duration, len(apps))
	for range e.Messages {
		for i, a := range apps {
			start := time.Now()
			if reply, err := a.send(body); err != nil || isKept(reply) {
				return fmt.Errorf("%s, %w", reply, err)
			}
			o.Each[i] = append(o.Each[i], time.Since(start))
		}
	}
	return nil
}
