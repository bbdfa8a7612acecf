package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// world holds the programs of a Survivor kind: they outlive each engine, and have no goroutine that could tie
// them to one. The zero value is not ready: see newWorld.
type world struct {
	mu       sync.Mutex
	programs map[string]*program // by the attempt's folder
	hook     func(point string)  // called at points of Run
	looked   chan *program       // gets each program that a Run has begun to watch
	env      map[string]string   // what the last Revive was given
}

// program is what an attempt has started.
type program struct {
	dir     string
	starts  int
	killed  error // the cause with which Run has ended it
	input   []byte
	secrets json.RawMessage
	closed  bool
	orphan  chan struct{} // closed when its holder is gone
	ended   chan struct{}
	err     error // set before ended is closed
}

func newWorld() *world {
	return &world{programs: map[string]*program{}, looked: make(chan *program, 2000), hook: func(string) {}}
}

func (w *world) at(dir string) *program {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.programs[dir]
	if p == nil {
		p = &program{dir: dir, orphan: make(chan struct{}), ended: make(chan struct{})}
		w.programs[dir] = p
	}
	return p
}

// end lets p end by itself.
func (w *world) end(p *program, err error) {
	p.err = err
	close(p.ended)
}

// survivor is the kind whose programs are in a world.
type survivor struct {
	name string
	w    *world
}

func (survivor) Survives() {}

func (k survivor) Describe() task.KindInfo {
	return task.KindInfo{Name: k.name, Schema: json.RawMessage(`{"type":"object"}`)}
}

func (k survivor) Prepare(_ context.Context, spec task.Spec) (job.Plan, error) {
	return job.Plan{Title: k.name, Params: spec.Params}, nil
}

func (k survivor) Revive(_ context.Context, t task.Task, req task.RetryRequest) (job.Plan, error) {
	k.w.env = req.Env
	return job.Plan{Title: "revived", Params: t.Params, Secrets: []byte(`{"again":true}`)}, nil
}

var errNeverBegun = errors.New("it never began")

func (k survivor) Run(ctx context.Context, j *job.Context) (any, error) {
	dir, err := j.AttemptDir()
	if err != nil {
		return nil, err
	}
	w, p := k.w, k.w.at(dir)
	w.hook("program.before")
	switch {
	case !j.Adopted():
		p.starts++
		if err := j.Secrets(&p.secrets); err != nil {
			return nil, err
		}
	case p.starts == 0:
		return nil, job.Ended(task.OutcomeInterrupted, errNeverBegun)
	}
	w.hook("program.started")
	select {
	case <-p.ended: // while nobody looked
		return k.judge(p)
	default:
	}
	if err := j.Started(); err != nil {
		return nil, err
	}
	w.hook("program.marked")
	j.Progress(task.Progress{Done: 1, Message: dir})
	w.looked <- p
	orphan := p.orphan
	for {
		select {
		case <-p.ended:
			return k.judge(p)
		case <-orphan:
			orphan = nil
			if err := j.Orphaned(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			cause := context.Cause(ctx)
			if errors.Is(cause, job.ErrStop) {
				return nil, job.ErrDetached
			}
			p.killed = cause
			return nil, job.Ended(task.OutcomeSignaled, errors.New("signal: terminated"))
		}
	}
}

func (k survivor) judge(p *program) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	return map[string]int{"exit_code": 0}, nil
}

func (k survivor) Input(_ context.Context, dir string, req task.StdinRequest) (task.StdinState, error) {
	p := k.w.at(dir)
	size := int64(len(p.input))
	if req.Offset < 0 {
		req.Offset = size
	}
	if req.Offset > size {
		return task.StdinState{}, task.Errorf(task.OutOfRange, "offset %d is beyond the end at %d", req.Offset, size)
	}
	data, err := io.ReadAll(req.Data)
	if err != nil {
		return task.StdinState{}, fmt.Errorf("input: %w", err)
	}
	if fresh := size - req.Offset; fresh < int64(len(data)) {
		p.input = append(p.input, data[fresh:]...)
	}
	p.closed = p.closed || req.Close
	return task.StdinState{Offset: int64(len(p.input)), Closed: p.closed}, nil
}

// grave is where an engine ends that crashes at a point: from then on none of its goroutines comes further than
// to its next hook or its next look into the store.
type grave struct {
	at   string
	mu   sync.Mutex
	dead bool
	died chan struct{}
}

func (g *grave) pass(point string) {
	g.mu.Lock()
	if !g.dead && point == g.at {
		g.dead = true
		close(g.died)
	}
	dead := g.dead
	g.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

// graveStore keeps the dead from the store.
type graveStore struct {
	*store.Store
	g *grave
}

func (s graveStore) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	s.g.pass("")
	return s.Store.Update(ctx, class, fn)
}

// mortal makes the next engine of h one that crashes at a point of its own, or of the world.
func (h *house) mortal(w *world, at string) *grave {
	g := &grave{at: at, died: make(chan struct{})}
	h.hook, w.hook = g.pass, g.pass
	h.wrap = func(s *store.Store) engine.Store { return graveStore{s, g} }
	return g
}

// submitted submits to an engine that may crash before it answers.
func (h *house) submitted(spec task.Spec) task.ID {
	h.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.Submit(h.t.Context(), spec, "")
	}()
	<-done
	var id task.ID
	if err := h.store.View(func(tx *store.Tx) (err error) {
		id, err = tx.Resolve(task.RefLast)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	return id
}

// bury waits until nothing is left of the engine that has crashed, and makes h ready for another one.
func (h *house) bury(w *world, g *grave) {
	h.t.Helper()
	<-g.died
	h.stop()
	<-h.gone
	h.stop = nil
	h.close()
	h.hook, h.wrap, w.hook = nil, nil, func(string) {}
}

// running waits until a Run watches over a program.
func (h *house) watched(w *world) *program {
	h.t.Helper()
	return <-w.looked
}

func wantEnd(t *testing.T, got task.Task, status task.Status, outcome task.Outcome, attempt int) {
	t.Helper()
	if got.Status != status || got.Outcome != outcome || got.Attempt != attempt {
		t.Errorf("ended %s, %s, attempt %d (%v); want %s, %s, %d", got.Status, got.Outcome, got.Attempt, got.Error, status, outcome, attempt)
	}
}
