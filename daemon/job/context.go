package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"durable/ipc/task"
)

// Host is what a Context stands on: the engine, or a test's stand-in. Its methods may be called from
// any goroutine of the attempt.
type Host interface {
	// Progress publishes a report. It never blocks on storage.
	Progress(p task.Progress)
	// Checkpoint makes data the task's position; it returns after the commit. It fails with ErrFenced
	// when the attempt is not the current one.
	Checkpoint(data []byte) error
	// Load returns the last checkpoint of the task's line, nil if there is none.
	Load() ([]byte, error)
	// Secrets returns what Prepare put into Plan.Secrets.
	Secrets() ([]byte, error)
	// Log is the attempt's log file.
	Log() io.Writer
	// ArtifactsDir and WorkDir return folders of the task that exist: the one for its results,
	// the other for what it needs between attempts.
	ArtifactsDir() (string, error)
	WorkDir() (string, error)
	// AttemptDir returns the attempt's own folder, which exists: a Survivor's protocol and logs.
	AttemptDir() (string, error)
	// Adopted reports whether an earlier daemon began this attempt.
	Adopted() bool
	// Leaving is closed when the daemon is about to leave, whatever the attempt's context is done with.
	Leaving() <-chan struct{}
	// Mark makes a change of the attempt's phase durable: task.TriggerRun or task.TriggerOrphan.
	Mark(trigger task.Trigger) error
	// Ask puts a durable question and waits for its answer.
	Ask(q task.Question) (json.RawMessage, error)
}

// Context is an attempt's line to the engine. Its methods may be called from any goroutine of the
// attempt, none after Run has returned.
type Context struct {
	host Host
	task task.Task
	log  *slog.Logger
}

// NewContext returns a Context for one attempt of t: t as it was when the attempt began.
func NewContext(h Host, t task.Task) *Context {
	return &Context{host: h, task: t, log: slog.New(slog.NewTextHandler(h.Log(), nil))}
}

// ID returns the task's ID; RootID the ID of the first task of its line of retries, which is what names
// the work itself; Attempt the number of this attempt, from 1.
func (c *Context) ID() task.ID     { return c.task.ID }
func (c *Context) RootID() task.ID { return c.task.RootID }
func (c *Context) Attempt() int    { return c.task.Attempt }

// Params decodes the parameters, as Prepare left them, into v.
func (c *Context) Params(v any) error { return decode("parameters", c.task.Params, v) }

// Secrets decodes what Prepare kept apart into v. Without any, v stays as it is.
func (c *Context) Secrets(v any) error {
	b, err := c.host.Secrets()
	if err != nil || len(b) == 0 {
		return err
	}
	return decode("secrets", b, v)
}

// Progress reports how far the attempt is. It is cheap: call it as often as there is news. It goes to
// watchers at once and to the store within a second. Rate and ETA are filled in where they are zero.
func (c *Context) Progress(p task.Progress) { c.host.Progress(p) }

// Checkpoint makes v, as JSON of at most task.MaxCheckpoint bytes, the task's position. When it returns
// nil, the position is durable and the next attempt gets it. It works also when the attempt's context is
// done. An error wrapping ErrFenced means that this attempt must leave everything alone and return.
func (c *Context) Checkpoint(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	if len(b) > task.MaxCheckpoint {
		return fmt.Errorf("checkpoint of %d bytes: the limit is %d; write a file into WorkDir, sync it and name it here", len(b), task.MaxCheckpoint)
	}
	return c.host.Checkpoint(b)
}

// Load decodes the last checkpoint into v and reports whether there was one.
func (c *Context) Load(v any) (bool, error) {
	b, err := c.host.Load()
	if err != nil || b == nil {
		return false, err
	}
	return true, decode("checkpoint", b, v)
}

// Log returns the attempt's log: what people and models read when they ask for the task's output.
func (c *Context) Log() *slog.Logger { return c.log }

// Logf writes one plain line to the attempt's log.
func (c *Context) Logf(format string, args ...any) {
	line := append(bytes.TrimRight(fmt.Appendf(nil, format, args...), "\n"), '\n')
	_, _ = c.host.Log().Write(line) // a full disk must not end the job
}

// ArtifactsDir returns the folder for what the task leaves as its result.
func (c *Context) ArtifactsDir() (string, error) { return c.host.ArtifactsDir() }

// WorkDir returns the task's own folder for what it needs between attempts.
func (c *Context) WorkDir() (string, error) { return c.host.WorkDir() }

// AttemptDir returns the attempt's own folder: what a [Survivor] needs to find its program again, and its logs.
func (c *Context) AttemptDir() (string, error) { return c.host.AttemptDir() }

// Adopted reports whether this attempt was begun by a daemon that is gone; only a [Survivor] sees that.
func (c *Context) Adopted() bool { return c.host.Adopted() }

// Leaving returns a channel that is closed when the daemon leaves. Only a [Survivor] that ends its work needs it: with the
// cause ErrCancelled or ErrTimeout, its context does not tell.
func (c *Context) Leaving() <-chan struct{} { return c.host.Leaving() }

// Task returns the task as it was when the attempt began.
func (c *Context) Task() task.Task { return c.task }

// Started makes it durable that the program of a [Survivor] is up, and tells watchers. It may be called again.
// An error wrapping ErrFenced means what it means for Checkpoint; after any other the program runs all the same.
func (c *Context) Started() error { return c.host.Mark(task.TriggerRun) }

// Orphaned makes it durable that the holder of a [Survivor]'s program is gone and its processes are not.
func (c *Context) Orphaned() error { return c.host.Mark(task.TriggerOrphan) }

// Ask puts a question to a person and waits for the answer, which is durable under q.Key: an attempt
// that asks again under the same key gets the answer that was given before.
func (c *Context) Ask(q task.Question) (json.RawMessage, error) { return c.host.Ask(q) }

func decode(what string, b []byte, v any) error {
	if len(b) == 0 {
		b = []byte("{}")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}
