package outbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"melon/upstream"
)

// senderFunc is a Sender made of a function.
type senderFunc func(ctx context.Context, e Entry, body upstream.Body) upstream.Result

func (f senderFunc) Send(ctx context.Context, e Entry, body upstream.Body) upstream.Result {
	return f(ctx, e, body)
}

// BenchmarkKeep measures durable arrivals from one app and from sixteen at once.
func BenchmarkKeep(b *testing.B) {
	for _, apps := range []int{1, 16} {
		b.Run(fmt.Sprintf("apps=%d", apps), func(b *testing.B) {
			o := openBench(b, b.TempDir())
			o.Pause()
			benchKeep(b, o, apps)
		})
	}
}

// BenchmarkThrough measures arrivals from sixteen apps until all are delivered.
func BenchmarkThrough(b *testing.B) {
	o := openBench(b, b.TempDir())
	var sent sync.WaitGroup
	sent.Add(b.N)
	o.opts.Sender = senderFunc(func(context.Context, Entry, upstream.Body) upstream.Result {
		sent.Done()
		return upstream.Result{}
	})
	benchKeep(b, o, 16)
	sent.Wait()
}

func benchKeep(b *testing.B, o *Outbox, apps int) {
	content := []byte("Subject: a message of usual length\r\n\r\n" + string(make([]byte, 4000)) + "\r\n")
	var wg sync.WaitGroup
	jobs := make(chan int)
	b.ResetTimer()
	for range apps {
		wg.Go(func() {
			for range jobs {
				sp := o.NewSpool()
				sp.Write(content)
				sp.Finish()
				if _, err := o.Keep(b.Context(), sp, benchEntry(), KeepOptions{}); err != nil {
					b.Error(err)
				}
				sp.Discard()
			}
		})
	}
	for i := range b.N {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkOpen measures the start with many entries, and the memory that the
// index takes.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			dir := b.TempDir()
			fillBench(b, dir, n)
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				before := heapInUse()
				b.StartTimer()
				o, err := Open(dir, Options{Sender: senderFunc(nil)})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if s := o.Snapshot(); s.Total != n {
					b.Fatalf("%d entries", s.Total)
				}
				b.ReportMetric(float64(heapInUse()-before)/float64(n), "octets/entry")
				o.Close()
				b.StartTimer()
			}
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func openBench(b *testing.B, dir string) *Outbox {
	o, err := Open(dir, Options{Sender: senderFunc(nil)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	return o
}

func benchEntry() Entry {
	return Entry{Account: "home", Envelope: upstream.Envelope{
		From: "taro@provider-a.example", Recipients: []upstream.Recipient{{Address: "hanako@provider-b.example"}},
	}}
}

// fillBench writes entries that are not due, without syncing them.
func fillBench(b *testing.B, dir string, n int) {
	now := time.Now()
	for i := range n {
		e := benchEntry()
		e.ID = encodeID(idNumber(now) + int64(i))
		e.State, e.QueuedAt, e.NextAttempt, e.Attempts, e.Size = Waiting, now, now.Add(24*time.Hour), 3, 10
		e.Fingerprint = fingerprint([32]byte{byte(i)}, e.Envelope)
		e.LastError = &upstream.Error{Account: "home", Host: "smtp.provider-a.example:465", Phase: upstream.PhaseConnect,
			Class: upstream.ClassServerUnreachable, Sentence: "The server smtp.provider-a.example cannot be reached."}
		data, err := encode(e)
		if err != nil {
			b.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, e.ID+".eml"), []byte("0123456789"), 0o600)
		os.WriteFile(filepath.Join(dir, e.ID+".json"), data, 0o600)
	}
}
