package engine

import (
	"crypto/rand"
	"path/filepath"
	"sync"

	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// claim is the attempts that begin with one transaction. They are in Engine.running, and hold their slots, from before its
// commit on: no slot is given twice, and whoever sees a running task finds its attempt. What comes to no commit is taken back.
//
// hold, begin and enter are called in the transaction, so from the committer's goroutine only: no two claims look for a free slot
// at once.
type claim struct {
	e *Engine
	// fresh: the tasks are made in the same transaction. Nobody else knows their folders.
	fresh    bool
	held     bool // a slot is kept for the next one to enter
	started  bool
	attempts []*attempt
	making   sync.WaitGroup // folders
	stale    []task.ID      // have folders, perhaps, and will not be
}

// hold keeps a slot for one attempt, if there is one. The engine does not end before that has run, or was taken back.
func (c *claim) hold() bool {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !c.held && e.freeLocked() > 0 {
		e.group.Add(1)
		c.held = true
	}
	return c.held
}

// release gives back the slot that is held, and was not needed.
func (c *claim) release() {
	if c.held {
		c.held = false
		c.e.group.Done()
	}
}

// begin moves a queued record into its next attempt. Its caller stores it, and lets it enter.
func (c *claim) begin(kind job.Kind, rec *store.Record) error {
	_, rec.Survives = kind.(job.Survivor)
	if err := step(rec, task.TriggerStart); err != nil {
		return err
	}
	if !rec.Survives { // a job of this process is running as soon as it is started; a program is not
		if err := step(rec, task.TriggerRun); err != nil {
			return err
		}
	}
	t := &rec.Task
	t.Attempt++
	t.Outcome, t.Reason = task.OutcomeNone, ""
	t.Host = c.e.cfg.Host
	rec.Nonce = rand.Text()
	started := now()
	t.UpdatedAt = started
	t.StartedAt = &started
	return nil
}

// enter makes the attempt that rec has begun known to those who may end it: a cancel of it, which can only come after the commit,
// finds it. It takes the slot that is held.
func (c *claim) enter(rec store.Record) {
	e := c.e
	a := newAttempt(e, rec)
	c.held = false
	c.attempts = append(c.attempts, a)
	e.mu.Lock()
	e.running[rec.Task.ID] = a
	stopping := e.stopping
	e.mu.Unlock()
	if stopping { // since the slot was held: Run has not seen it
		a.end(e.stopCause())
	}
	if rec.Survives && (!c.fresh || e.swept.Load()) {
		// Beside the commit, because a program waits for it. If that fails, the attempt itself does it.
		c.making.Go(func() {
			e.furnish(a)
		})
	}
}

// furnish makes the folders of an attempt, as far as that goes.
func (e *Engine) furnish(a *attempt) {
	kind, furnishes := a.kind.(job.Furnisher)
	if !furnishes {
		_, _ = a.AttemptDir()
	}
	work := workFolder
	if furnishes && !continues(a.rec.Task) { // else it is a copy, see inherit
		work = filepath.Join(work, checkpointFolder)
	}
	_, _ = e.folder(a.rec.Task.ID, work)
	if furnishes {
		kind.Furnish(filepath.Dir(a.out.path))
	}
	_, _ = a.ArtifactsDir()
}

// void takes back what has entered: the transaction begins anew, or there is no commit.
func (c *claim) void() {
	e := c.e
	c.release()
	for _, a := range c.attempts {
		e.vacate(a)
		a.cancel(nil)
		if c.fresh && a.survives {
			c.stale = append(c.stale, a.rec.Task.ID)
		}
		e.group.Done()
	}
	c.attempts = nil
}

// settle comes after the transaction; err is what has become of it.
func (c *claim) settle(err error) {
	c.release()
	if err != nil || c.stale != nil {
		c.making.Wait() // the next claim may be of the same attempt, with the same folder
	}
	if err != nil {
		c.void()
		c.e.poke() // who came meanwhile may have been told that there is no slot
	}
	for _, id := range c.stale {
		removeEmpty(c.e.taskFolder(id)) // what is left, the next start sweeps
	}
}

// abandon is deferred: whoever does not come as far as to start the attempts must not leave Run waiting for them.
func (c *claim) abandon() {
	if !c.started {
		c.void()
	}
}

// start runs the attempts. Their beginning is durable.
func (c *claim) start() {
	c.started = true
	for _, a := range c.attempts {
		c.e.started.Add(1)
		go func() {
			defer c.e.group.Done()
			c.making.Wait()
			a.run()
		}()
	}
}
