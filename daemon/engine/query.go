package engine

import (
	"context"
	"os"
	"time"

	"durable/daemon/store"
	"durable/ipc/task"
)

// capabilities are what this engine can do of the optional things.
func (e *Engine) capabilities() []task.Capability {
	c := []task.Capability{
		task.CapFilterKind, task.CapFilterLabel, task.CapPause, task.CapApprove, task.CapArtifacts, task.CapBackup,
		task.CapDrain, task.CapPrune, task.CapStdin,
	}
	if e.cfg.Reload != nil {
		c = append(c, task.CapReload)
	}
	return c
}

// Info implements task.Service.
func (e *Engine) Info(ctx context.Context) (task.Info, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.Info{}, err
	}
	id := e.cfg.Identity
	info := task.Info{
		Version: id.Version, API: task.API, PID: os.Getpid(), StartedAt: e.began.UTC(), Uptime: uptime(e.began),
		Lives: id.Lives, Paths: id.Paths, Capabilities: e.capabilities(), Slots: e.cfg.Slots, Active: e.active(),
		Warnings: e.warnings(),
	}
	e.mu.Lock()
	info.Draining = e.draining
	e.mu.Unlock()
	err := e.store.View(func(tx *store.Tx) error {
		var err error
		info.Counts, err = tx.Counts()
		return err
	})
	info.Disk = e.disk.measure(e.store.Info().Size)
	return info, err
}

// Counts returns how many tasks there are of each status.
func (e *Engine) Counts() (counts map[task.Status]int, err error) {
	err = e.store.View(func(tx *store.Tx) error {
		counts, err = tx.Counts()
		return err
	})
	return counts, err
}

func (e *Engine) warnings() []string {
	warnings := append([]string{}, e.asking()...)
	if e.cfg.Warnings != nil {
		warnings = append(warnings, e.cfg.Warnings()...)
	}
	if e.store.Full() {
		warnings = append(warnings, "the disk is full: new tasks are refused until there is space; what runs goes on")
	}
	warnings = append(warnings, e.unwatchedWarnings()...)
	return append(warnings, e.store.Info().Quarantined...)
}

func uptime(since time.Time) task.Duration {
	return task.Duration(time.Since(since).Truncate(time.Second))
}

// Kinds implements task.Service.
func (e *Engine) Kinds(ctx context.Context) ([]task.KindInfo, error) {
	if _, err := e.authorise(ctx); err != nil {
		return nil, err
	}
	return e.kinds.describe(), nil
}

// Stats implements task.Service.
func (e *Engine) Stats(ctx context.Context) (task.Stats, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.Stats{}, err
	}
	info := e.store.Info()
	s := task.Stats{
		Active: e.active(), Slots: e.cfg.Slots, Uptime: uptime(e.began),
		Submitted: e.submitted.Load(), Started: e.started.Load(), Ended: e.ended.Load(), Commits: info.Commits,
		Disk: e.disk.measure(info.Size), Subscribers: e.hub.len(),
	}
	err := e.store.View(func(tx *store.Tx) error {
		var err error
		if s.Counts, err = tx.Counts(); err != nil {
			return err
		}
		if s.Queued, err = tx.ReadyCount(); err != nil {
			return err
		}
		s.JournalLen, err = tx.JournalLen()
		return err
	})
	for _, n := range s.Counts {
		s.Total += n
	}
	return s, err
}

// Get implements task.Service.
func (e *Engine) Get(ctx context.Context, ref task.Ref) (task.Task, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.Task{}, err
	}
	rec, err := e.record(ref)
	return e.live.overlay(rec.Task), err
}

func (e *Engine) record(ref task.Ref) (store.Record, error) {
	var rec store.Record
	err := e.store.View(func(tx *store.Tx) error {
		found, err := resolve(tx, ref)
		if err == nil {
			rec = *found
		}
		return err
	})
	return rec, err
}

// List implements task.Service.
func (e *Engine) List(ctx context.Context, q task.ListQuery) (task.TaskList, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.TaskList{}, err
	}
	var list task.TaskList
	err := e.store.View(func(tx *store.Tx) error {
		var err error
		list, err = tx.List(q)
		return err
	})
	for i, t := range list.Tasks {
		list.Tasks[i] = e.live.overlay(t)
	}
	return list, err
}

// Wait implements task.Service.
func (e *Engine) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	t, err := e.Get(ctx, ref)
	if err != nil || t.Status.Terminal() || timeout <= 0 {
		return t, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	w := e.await(t.ID)
	defer e.release(t.ID, w)
	// Look again now that we are registered: the end may have been committed in between.
	if t, err = e.Get(ctx, t.ID.Ref()); err != nil || t.Status.Terminal() {
		return t, err
	}
	select {
	case <-w.done:
	case <-timer.C:
	case <-e.hub.closed:
		return task.Task{}, errLeaving()
	case <-ctx.Done():
		return task.Task{}, task.Errorf(task.Unavailable, "wait: %w", ctx.Err())
	}
	return e.Get(ctx, t.ID.Ref())
}

// errLeaving answers those who wait while the daemon leaves; a client asks the next one.
func errLeaving() error {
	return task.Errorf(task.Unavailable, "the daemon is leaving").WithHint("ask again: the task goes on when it is back")
}

// waiter is shared by all who wait for the end of one task.
type waiter struct {
	done chan struct{}
	n    int // guarded by Engine.mu
}

func (e *Engine) await(id task.ID) *waiter {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.waiters[id]
	if w == nil {
		w = &waiter{done: make(chan struct{})}
		e.waiters[id] = w
	}
	w.n++
	return w
}

func (e *Engine) release(id task.ID, w *waiter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.n--; w.n == 0 && e.waiters[id] == w {
		delete(e.waiters, id)
	}
}

// concluded does what has to follow the commit of the end of tasks that had no attempt then.
func (e *Engine) concluded(recs []store.Record) {
	for _, rec := range recs {
		e.settled(rec.Task)
		if rec.CleanPending {
			e.spawn(func() { e.clean(rec) })
		}
	}
}

// settled wakes those who wait for t, if it has ended. Call it only after the commit.
func (e *Engine) settled(t task.Task) {
	if !t.Status.Terminal() {
		return
	}
	e.tidyLater()
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.waiters[t.ID]; w != nil {
		delete(e.waiters, t.ID)
		close(w.done)
	}
}
