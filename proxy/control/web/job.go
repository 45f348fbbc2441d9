package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of jobs.
const (
	maxJobs  = 32        // remembered; the oldest finished one goes first
	maxSteps = 200       // of one job
	jobLimit = time.Hour // how long one may take; a sign-in waits for a person
)

// errTooManyJobs is shown when all places are taken by jobs that still run.
var errTooManyJobs = errors.New("too much is going on at once; wait for it to end")

// jobs runs what takes some seconds, each in a goroutine that wait waits for.
type jobs struct {
	ctx context.Context
	now func() time.Time
	wg  sync.WaitGroup
	mu  sync.Mutex
	all []*job // oldest first
}

func newJobs(ctx context.Context, now func() time.Time) *jobs { return &jobs{ctx: ctx, now: now} }

// job is one thing that is being done, or was.
type job struct {
	id      string
	kind    string // "diagnose", "signin", "find", "test"
	account string
	began   time.Time
	cancel  context.CancelFunc

	mu     sync.Mutex
	steps  []Step
	done   bool
	err    error
	result any
	// more is closed and replaced whenever something changed; changes counts.
	more    chan struct{}
	changes int
}

// jobState is a job at one moment.
type jobState struct {
	Steps   []Step
	Done    bool
	Err     error
	Result  any
	Changes int
}

// start runs f as a job of this kind; its result is what f returns.
func (s *jobs) start(kind, account string, f func(ctx context.Context, j *job) (any, error)) (*job, error) {
	ctx, cancel := context.WithTimeout(s.ctx, jobLimit)
	j := &job{id: rand.Text(), kind: kind, account: account, began: s.now(), cancel: cancel, more: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxJobs {
		i := slices.IndexFunc(s.all, func(j *job) bool { return j.state().Done })
		if i < 0 {
			cancel()
			return nil, errTooManyJobs
		}
		s.all = slices.Delete(s.all, i, i+1)
	}
	s.all = append(s.all, j)
	s.wg.Go(func() {
		defer cancel()
		result, err := f(ctx, j)
		j.change(func() { j.done, j.result, j.err = true, result, err })
	})
	return j, nil
}

// wait waits for all jobs; their context must have ended.
func (s *jobs) wait() { s.wg.Wait() }

// get returns the job of this ID.
func (s *jobs) get(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.all {
		if j.id == id {
			return j
		}
	}
	return nil
}

// step notes a step. Several goroutines may call it.
func (j *job) step(st Step) {
	j.change(func() {
		if len(j.steps) < maxSteps {
			j.steps = append(j.steps, st)
		}
	})
}

// show replaces the result of a job that goes on.
func (j *job) show(result any) { j.change(func() { j.result = result }) }

func (j *job) change(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
	j.changes++
	close(j.more)
	j.more = make(chan struct{})
}

func (j *job) state() jobState {
	s, _ := j.watch()
	return s
}

// watch returns the state and a channel that is closed at the next change.
func (j *job) watch() (jobState, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return jobState{Steps: slices.Clone(j.steps), Done: j.done, Err: j.err, Result: j.result, Changes: j.changes}, j.more
}

// jobEvents tells a page, as server-sent events, how often a job changed. It
// ends with the job.
func (s *Server) jobEvents(w http.ResponseWriter, r *http.Request) {
	j := s.jobs.get(r.PathValue("id"))
	if j == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	for {
		st, more := j.watch()
		if flush.SetWriteDeadline(time.Now().Add(time.Minute)) != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "id: %d\ndata: %d\n\n", st.Changes, st.Changes); err != nil || flush.Flush() != nil {
			return
		}
		if st.Done {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
