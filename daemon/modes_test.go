package daemon_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"durable/daemon"
	"durable/daemon/engine"
	commandkind "durable/daemon/job/command"
	"durable/daemon/store"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// Each behaviour is tested once and run in three modes (the idea is gopls', whose integration tests
// do the same for its editor, forwarder and daemon):
//
//	mode        what answers                                 what lies in between
//	----------  -------------------------------------------  ------------------------------------
//	in-process  engine on a store                            nothing: task.Service is the engine
//	socket      daemon.Run in a goroutine of the test        ipc/client, the socket, ipc/localapi
//	process     daemon.Run in a process of its own           the same, and two address spaces
//
// A test gets a room and knows nothing else of its mode. What fails in the first mode is the engine's, what
// fails from the second on is lost in translation, what fails in the third only depended on shared memory.
var modes = []struct {
	name string
	open func(t *testing.T, dir string) (task.Service, func())
}{
	{"in-process", openEngine},
	{"socket", openSocket},
	{"process", openProcess},
}

// room is a daemon of one mode, alone in a folder.
type room struct {
	*testing.T
	task.Service
	dir   string
	open  func(t *testing.T, dir string) (task.Service, func())
	close func()
}

// inModes runs fn in each mode, at the same time.
func inModes(t *testing.T, fn func(r *room)) {
	t.Helper()
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := &room{T: t, dir: shortDir(t), open: mode.open}
			r.enter()
			fn(r)
		})
	}
}

// restart lets the daemon leave in order and another one take over.
func (r *room) restart() {
	r.Helper()
	r.close()
	r.enter()
}

func (r *room) enter() {
	r.Helper()
	svc, leave := r.open(r.T, r.dir)
	r.Service, r.close = svc, sync.OnceFunc(leave)
	r.Cleanup(r.close)
}

// openEngine is the daemon without its facade: the order of daemon.Run, without a socket.
func openEngine(t *testing.T, dir string) (task.Service, func()) {
	t.Helper()
	var eng atomic.Pointer[engine.Engine]
	st, err := store.Open(store.Options{Dir: dir, OnCommit: func() {
		if e := eng.Load(); e != nil {
			e.Committed()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{
		Store: st, Kinds: append(daemon.Kinds(), daemon.ProgramKinds(commandkind.Options{})...), TasksDir: filepath.Join(dir, "tasks"), StopGrace: 5 * time.Second,
		Identity: engine.Identity{Version: task.Version(), Lives: task.LivesForeground, Paths: task.Paths{State: dir}},
	})
	eng.Store(e)
	ctx, stop := context.WithCancel(context.Background())
	if err := e.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return e, func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("engine: %v", err)
		}
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	}
}

func openSocket(t *testing.T, dir string) (task.Service, func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	d := daemon.New(daemon.Config{Paths: socket.In(dir), StopGrace: 5 * time.Second, Ready: func() { close(ready) }})
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		t.Fatalf("daemon: %v", err)
	}
	c := dial(dir, client.Options{})
	return c, func() {
		closeClient(c)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("daemon: %v", err)
		}
	}
}

func openProcess(t *testing.T, dir string) (task.Service, func()) {
	t.Helper()
	p := start(t, dir, "").up()
	c := dial(dir, client.Options{})
	return c, func() {
		closeClient(c)
		stopper := dial(dir, client.Options{})
		defer closeClient(stopper)
		if err := stopper.Shutdown(context.Background(), task.ShutdownRequest{Restart: true}); err != nil {
			t.Errorf("shutdown: %v", err)
			p.kill()
		}
		if status := p.wait(); status != 0 {
			t.Errorf("the daemon left with status %d:\n%s", status, p.stderr.String())
		}
	}
}

// submit, wait and the like fail the test on an error.

func (r *room) submit(spec task.Spec) task.Task {
	r.Helper()
	t, err := r.Submit(r.Context(), spec, "")
	if err != nil {
		r.Fatalf("submit: %v", err)
	}
	return t
}

// ended waits for the end of a task.
func (r *room) ended(id task.ID) task.Task {
	r.Helper()
	t, err := r.Wait(r.Context(), id.Ref(), patience)
	if err != nil {
		r.Fatalf("wait: %v", err)
	}
	if !t.Status.Terminal() {
		r.Fatalf("task %d is %s (%s) after %s", t.Number, t.Status, t.Phase, patience)
	}
	return t
}

func (r *room) get(id task.ID) task.Task {
	r.Helper()
	t, err := r.Get(r.Context(), id.Ref())
	if err != nil {
		r.Fatalf("get: %v", err)
	}
	return t
}

// until reads events of a task until one fulfils want, which must come.
func (r *room) until(id task.ID, after task.Cursor, want func(task.Event) bool) task.Event {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	s, err := r.Events(ctx, task.EventQuery{After: after, Task: id.Ref(), Follow: true})
	if err != nil {
		r.Fatalf("events: %v", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	defer func() { _ = s.Close() }()
	for {
		ev, err := s.Next()
		if err != nil {
			r.Fatalf("events of task %s: %v", id, err)
		}
		if want(ev) {
			return ev
		}
	}
}

// running submits a task that runs for ever and returns once it runs.
func (r *room) running() task.Task {
	r.Helper()
	t := r.submit(noopFor(time.Hour))
	r.until(t.ID, task.CursorStart, func(ev task.Event) bool { return ev.Type == task.EventStarted })
	return r.get(t.ID)
}

// drain holds the queue back, or lets it go on.
func (r *room) drain(on bool) task.Info {
	r.Helper()
	info, err := r.Drain(r.Context(), task.DrainRequest{Resume: !on})
	if err != nil {
		r.Fatalf("drain: %v", err)
	}
	return info
}
