package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a job kind whose run is a function of the test.
type script struct {
	name    string
	run     func(ctx context.Context, j *job.Context) (any, error)
	prepare func(task.Spec) (job.Plan, error)
}

func (s script) Describe() task.KindInfo {
	return task.KindInfo{Name: s.name, Alias: s.name + "-alias", Schema: json.RawMessage(`{"type":"object"}`)}
}

func (s script) Prepare(_ context.Context, spec task.Spec) (job.Plan, error) {
	if s.prepare != nil {
		return s.prepare(spec)
	}
	return job.Plan{Title: s.name, Params: spec.Params}, nil
}

func (s script) Run(ctx context.Context, j *job.Context) (any, error) { return s.run(ctx, j) }

// house is an engine on a store of its own, which survives restarts of the engine.
type house struct {
	t     testing.TB
	dir   string
	kinds []job.Kind
	slots int
	wrap  func(*store.Store) engine.Store
	hook  func(point string)
	tune  func(*engine.Config)

	*engine.Engine
	store *store.Store
	stop  context.CancelFunc
	ended chan error
	gone  chan struct{} // closed when the goroutine of Run is, also when it had to vanish
}

func newHouse(t testing.TB, kinds ...job.Kind) *house {
	h := &house{t: t, dir: t.TempDir(), kinds: kinds, slots: 4}
	t.Cleanup(func() {
		if h.stop != nil {
			h.down()
		}
	})
	return h
}

// up opens the store, recovers and runs the engine.
func (h *house) up() *house {
	h.t.Helper()
	h.open()
	h.run()
	return h
}

func (h *house) open() {
	h.t.Helper()
	var eng *engine.Engine
	var mu sync.Mutex
	st, err := store.Open(store.Options{Dir: h.dir, OnCommit: func() {
		mu.Lock()
		defer mu.Unlock()
		if eng != nil {
			eng.Committed()
		}
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	var backing engine.Store = st
	if h.wrap != nil {
		backing = h.wrap(st)
	}
	cfg := engine.Config{
		Store: backing, Kinds: h.kinds, TasksDir: filepath.Join(h.dir, "tasks"), Slots: h.slots, StopGrace: 5 * time.Second, Hook: h.hook,
	}
	if h.tune != nil {
		h.tune(&cfg)
	}
	mu.Lock()
	eng = engine.New(cfg)
	mu.Unlock()
	h.Engine, h.store = eng, st
}

func (h *house) run() {
	h.t.Helper()
	if err := h.Recover(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.resume()
}

// resume runs an engine that has recovered.
func (h *house) resume() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.ended = stop, make(chan error, 1)
	eng, ended, gone := h.Engine, h.ended, make(chan struct{})
	h.gone = gone
	go func() {
		defer close(gone)
		ended <- eng.Run(ctx)
	}()
}

// down stops the engine as a daemon that leaves does.
func (h *house) down() {
	h.t.Helper()
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Errorf("engine ended with %v", err)
	}
	h.stop = nil
	h.close()
}

func (h *house) close() {
	h.t.Helper()
	if err := h.store.Close(); err != nil {
		h.t.Errorf("close store: %v", err)
	}
}

func (h *house) submit(spec task.Spec) task.Task {
	h.t.Helper()
	t, err := h.Submit(h.t.Context(), spec, "")
	if err != nil {
		h.t.Fatalf("submit: %v", err)
	}
	return t
}

// wait waits for the end of a task, with a limit that only a hanging test meets.
func (h *house) wait(id task.ID) task.Task {
	h.t.Helper()
	t, err := h.Wait(h.t.Context(), id.Ref(), time.Minute)
	if err != nil {
		h.t.Fatalf("wait: %v", err)
	}
	if !t.Status.Terminal() {
		h.t.Fatalf("task %d is still %s (%s) after a minute", t.Number, t.Status, t.Phase)
	}
	return t
}

func (h *house) get(id task.ID) task.Task {
	h.t.Helper()
	t, err := h.Get(h.t.Context(), id.Ref())
	if err != nil {
		h.t.Fatalf("get: %v", err)
	}
	return t
}

// awaitState follows the events until the task is where the test wants it.
func (h *house) awaitState(id task.ID, want func(task.Task) bool) task.Task {
	h.t.Helper()
	s, err := h.Events(h.t.Context(), task.EventQuery{Task: id.Ref(), Follow: true})
	if err != nil {
		h.t.Fatal(err)
	}
	defer s.Close()
	deadline := time.AfterFunc(time.Minute, func() { s.Close() })
	defer deadline.Stop()
	for {
		if t := h.get(id); want(t) {
			return t
		}
		if _, err := s.Next(); err != nil {
			h.t.Fatalf("task never got there: %v; it is %+v", err, h.get(id))
		}
	}
}

func readAll(t *testing.T, l task.Log) string {
	t.Helper()
	defer l.Body.Close()
	b, err := io.ReadAll(l.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantCode(t *testing.T, err error, code task.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got error %v (%T), want code %s", err, err, code)
	}
}

// ok is a kind that succeeds at once.
var ok = script{name: "ok", run: func(context.Context, *job.Context) (any, error) {
	return map[string]bool{"done": true}, nil
}}

// hold returns a kind that says when it runs and then waits for the end of its context, or for release.
func hold(name string) (k script, running chan task.ID, release chan struct{}) {
	running, release = make(chan task.ID, 100), make(chan struct{})
	return script{name: name, run: func(ctx context.Context, j *job.Context) (any, error) {
		running <- j.ID()
		select {
		case <-release:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}}, running, release
}
