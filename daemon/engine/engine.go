package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"durable/daemon/job"
	"durable/daemon/logfile/watch"
	"durable/daemon/store"
	"durable/ipc/task"
)

// Store is what the engine needs of *store.Store; tests put one in between that fails.
type Store interface {
	Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error
	View(fn func(*store.Tx) error) error
	Failed() <-chan struct{}
	Err() error
	Full() bool
	Info() store.Info
	Backup(ctx context.Context, path string, withSecrets bool) (task.BackupResult, error)
}

// Config is what an Engine is made of.
type Config struct {
	Store Store
	Kinds []job.Kind
	// TasksDir holds a folder per task, with its logs and artifacts.
	TasksDir string
	// Slots is how many attempts run at once; 0 is [DefaultSlots].
	Slots int
	// StopGrace is how long Run waits for attempts when it stops; 0 is [DefaultStopGrace].
	StopGrace time.Duration
	// Host names this machine in records.
	Host string
	// Watcher tells of what programs write; nil: the engine has one of its own, and closes it at the end of Run.
	Watcher *watch.Watcher
	// Policy has a say in what tasks do; nil lets everything start.
	Policy Policy
	// Retention says how much is kept of what has ended; nil: all of it, until somebody prunes.
	Retention func() Retention
	// Reload reads the configuration anew, and puts in force what does not concern the engine. kinds are all
	// kinds, nil if they have not changed; changed names what has. On an error nothing has. Nil: there is no configuration.
	Reload func(ctx context.Context) (kinds []job.Kind, changed []string, err error)
	// Warnings is what Info warns of besides the engine's own.
	Warnings func() []string
	// Shared: whoever was let in may do everything, not this process's user and root alone. For a service of the
	// machine's, whose door is for a group.
	Shared bool
	// Identity is what Info says besides the engine's own.
	Identity Identity
	// Shutdown is called once for each accepted Shutdown request.
	Shutdown func(task.ShutdownRequest)
	Logger   *slog.Logger
	// Hook is called at named points, for crash tests; nil in production.
	Hook func(point string)
}

// Identity is the part of task.Info that the daemon knows and the engine does not.
type Identity struct {
	Version string
	Lives   task.Lives
	Paths   task.Paths
}

// Defaults and limits.
const (
	DefaultSlots     = 8
	DefaultStopGrace = 10 * time.Second
	// FlushInterval is how long a progress report may be in memory only.
	FlushInterval = time.Second
	// MaxResult is the largest result of a task, in bytes of JSON.
	MaxResult = 1 << 20
	// MaxAttemptsKept is how many ended attempts a task tells of.
	MaxAttemptsKept = 20
	// MaxError is how much of an error's message is kept, in bytes: a record has one for each attempt that it
	// tells of, and is written with each change. The log is the place for more.
	MaxError = 4 << 10
)

// Engine implements task.Service. Its methods may be called from any goroutine between New and the end
// of Run.
type Engine struct {
	task.UnimplementedService

	cfg   Config
	store Store
	kinds kindSet
	log   *slog.Logger
	began time.Time

	watcher *watch.Watcher

	wake  chan struct{} // capacity 1: something may be ready, or a slot free
	hub   *hub
	live  *progressBook
	group sync.WaitGroup // attempts, flushes, cleanings

	adopted  []*attempt   // known, and to be run by the scheduler's goroutine
	claiming sync.RWMutex // held from the commit of a late adoption until its attempts are in running

	mu      sync.Mutex
	open    bool                 // Run is there to see to attempts
	running map[task.ID]*attempt // attempts that hold a slot: before the commit of their beginning (see claim), until after that of their end
	waiters map[task.ID]*waiter
	// unwatched are the running tasks whose attempt survives and whose kind this daemon does not have. They hold no
	// slot: nobody would see it become free.
	unwatched map[task.ID]task.Task
	draining  bool
	stopping  bool
	down      atomic.Bool   // see EndPrograms
	quit      chan struct{} // closed when stopping is set

	fatal     chan error // capacity 1: an error that ends the engine
	submitted atomic.Uint64
	started   atomic.Uint64
	ended     atomic.Uint64
	disk      diskMeter
	tidy      tidier
	folders   sync.Mutex  // held while a task's folder is removed or set aside
	swept     atomic.Bool // sweep knows which folders it looks at: one that is made from now on is not among them
	reloading sync.Mutex  // one Reload at a time
}

var _ task.Service = (*Engine)(nil)

// New returns an engine that does nothing yet: call Recover, then Run. It panics on a Config that
// names a kind twice or lacks a store.
func New(cfg Config) *Engine {
	if cfg.Store == nil {
		panic("engine: no store")
	}
	if cfg.Slots == 0 {
		cfg.Slots = DefaultSlots
	}
	if cfg.StopGrace == 0 {
		cfg.StopGrace = DefaultStopGrace
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) {}
	}
	e := &Engine{
		cfg: cfg, store: cfg.Store, log: cfg.Logger, began: time.Now(),
		wake: make(chan struct{}, 1), hub: newHub(),
		running: map[task.ID]*attempt{}, waiters: map[task.ID]*waiter{}, unwatched: map[task.ID]task.Task{}, fatal: make(chan error, 1),
		quit: make(chan struct{}),
	}
	if e.watcher = cfg.Watcher; e.watcher == nil {
		e.watcher = watch.New(e.log)
	}
	e.live = newProgressBook(e.flushLater)
	e.disk.root = cfg.TasksDir
	if err := e.kinds.set(cfg.Kinds); err != nil {
		panic("engine: " + err.Error())
	}
	return e
}

// Committed tells the engine that the journal has grown; the store calls it after each commit.
func (e *Engine) Committed() { e.hub.committed() }

// Run goes on with what Recover has found, picks up tasks and runs them until ctx is done, then stops what runs: its
// tasks stay recoverable, and the programs of a job.Survivor run on. It returns nil after such a stop, also when an
// attempt did not return within the grace (its task is found running at the next start and recovered). Any other
// error means that the store cannot be trusted any more and the process has to end.
func (e *Engine) Run(ctx context.Context) error {
	e.startAdopted() // before anything is claimed: they hold slots, more than there are if need be
	e.mu.Lock()
	e.open = true
	e.mu.Unlock()
	e.spawn(e.cleanUp)
	e.spawn(func() {
		e.sweep()
		e.tidyUp()
	})
	err := e.schedule(ctx)
	e.endTidying()
	e.mu.Lock()
	e.stopping = true
	close(e.quit)
	for _, a := range e.running {
		a.end(e.stopCause())
	}
	e.mu.Unlock()
	left := e.drain()
	e.live.stop()
	if err == nil {
		e.flush() // what goes on without us has no ending that would carry it
	}
	e.hub.close()
	if e.cfg.Watcher == nil {
		e.watcher.Close()
	}
	switch {
	case err != nil:
		return err
	case left > 0:
		e.log.Warn("attempts did not stop in time; their tasks are recovered at the next start", "attempts", left)
	}
	return nil
}

// EndPrograms has what would outlive this process end with it, when Run stops: because the machine goes down, or somebody wants it so.
func (e *Engine) EndPrograms() { e.down.Store(true) }

// stopCause is why attempts have to return.
func (e *Engine) stopCause() error {
	if e.down.Load() {
		return job.ErrDown
	}
	return job.ErrStop
}

// drain waits for all goroutines of the engine, at most the grace, and returns how many attempts are left.
func (e *Engine) drain() int {
	done := make(chan struct{})
	go func() {
		e.group.Wait()
		close(done)
	}()
	grace := time.NewTimer(e.cfg.StopGrace)
	defer grace.Stop()
	select {
	case <-done:
		return 0
	case <-grace.C:
		return e.busy()
	}
}

// fail ends the engine with err; the first one counts.
func (e *Engine) fail(err error) {
	select {
	case e.fatal <- err:
	default:
	}
}

// poke wakes the scheduler.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) active() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// busy counts the attempts that this daemon has not let go of.
func (e *Engine) busy() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.running {
		a.mu.Lock()
		if !a.detached {
			n++
		}
		a.mu.Unlock()
	}
	return n
}

// spawn runs fn in a goroutine that Run waits for. It reports false when the engine stops already.
func (e *Engine) spawn(fn func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.group.Go(fn)
	return true
}

func (e *Engine) leaving() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping
}

// authorise lets in the user whose daemon this is, and root. A call without a caller comes from this process.
func (e *Engine) authorise(ctx context.Context) (task.Owner, error) {
	caller, ok := task.CallerFrom(ctx)
	if !ok {
		return task.Owner{UID: os.Getuid(), Client: "durabled"}, nil
	}
	if !e.cfg.Shared && caller.UID != os.Getuid() && caller.UID != 0 && caller.UID != -1 {
		return task.Owner{}, task.Errorf(task.PermissionDenied, "user %d may not use the daemon of user %d", caller.UID, os.Getuid()).
			WithHint("each user has a daemon of his own: leave DURABLE_SOCKET and --socket unset")
	}
	return task.Owner{UID: caller.UID, Client: caller.Client, Via: caller.Via}, nil
}

// update is Store.Update with the errors of a failed commit told apart: one that cannot be settled
// without reopening the store ends the engine.
func (e *Engine) update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	err := e.store.Update(ctx, class, fn)
	if err != nil && e.storeFailed() {
		e.fail(fmt.Errorf("store: %w", e.store.Err()))
	}
	if gone := ctx.Err(); gone != nil && err == gone {
		return task.Errorf(task.Unavailable, "nothing was changed: %w", err) // the store had not taken it up
	}
	return err
}

func (e *Engine) storeFailed() bool {
	select {
	case <-e.store.Failed():
		return true
	default:
		return false
	}
}

// step applies trigger to rec or says why it cannot be.
func step(rec *store.Record, trigger task.Trigger) error {
	next, ok := task.Next(rec.Task.State(), trigger)
	if !ok {
		return task.Errorf(task.FailedPrecondition, "task %d is %s: cannot %s it", rec.Task.Number, describe(rec.Task), trigger)
	}
	rec.Task.Status, rec.Task.Phase = next.Status, next.Phase
	rec.Task.UpdatedAt = now()
	return nil
}

// describe names a task's state as people say it.
func describe(t task.Task) string {
	if t.Phase == task.PhaseNone || string(t.Phase) == string(t.Status) {
		return string(t.Status)
	}
	return fmt.Sprintf("%s (%s)", t.Status, t.Phase)
}

// now is the time as records have it: UTC, microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

var errNotRunning = errors.New("engine: the attempt is not the task's current one")
