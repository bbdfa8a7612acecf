// Package jobtest lets the author of a job kind run it without an engine: [Host] stands in for the
// engine of one line of attempts, keeps its checkpoints in memory, records what is reported, and can
// "kill" the attempt around any checkpoint.
//
// # Design
//
// A kill is an error out of Checkpoint after which the Host plays dead: it accepts nothing more until
// [Host.Revive], as no write of a killed process arrives. That tests what survives, cheaply and at every
// point; what only the kernel can lose needs a real SIGKILL besides. Rejected: a mock with expectations,
// which would pin how a kind works instead of what it keeps.
package jobtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"durable/daemon/job"
	"durable/ipc/task"
)

// ErrKilled is what a dead Host answers.
var ErrKilled = errors.New("killed by the test")

// Host is a job.Host in memory. Its methods may be called from any goroutine. The hooks are set before
// the attempt begins; each gets the number of the checkpoint, from 1, counted over all attempts.
type Host struct {
	// Before runs before a checkpoint is kept, After when it is: an error kills the attempt there.
	Before, After func(n int, data []byte) error
	// Reported, if set, is called with each progress report, and must not call the Host.
	Reported func(task.Progress)

	mu       sync.Mutex
	dir      string
	dead     bool
	calls    int
	last     []byte
	secrets  []byte
	progress []task.Progress
	log      bytes.Buffer
	answers  map[string]json.RawMessage
	adopted  bool
	marks    []task.Trigger
	leaving  chan struct{}
}

// New returns a Host whose folders are below t.TempDir.
func New(t testing.TB) *Host {
	t.Helper()
	return &Host{dir: t.TempDir(), answers: map[string]json.RawMessage{}, leaving: make(chan struct{})}
}

// Context returns what an attempt of t gets.
func (h *Host) Context(t task.Task) *job.Context { return job.NewContext(h, t) }

// Revive lets the next attempt begin after a kill.
func (h *Host) Revive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = false
}

// SetCheckpoint makes data the last checkpoint: what a retry's copy, or an older process, left.
func (h *Host) SetCheckpoint(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = slices.Clone(data)
}

// SetSecrets gives what Prepare put into Plan.Secrets.
func (h *Host) SetSecrets(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = slices.Clone(data)
}

// Answer gives the answer to the question under key.
func (h *Host) Answer(key string, answer json.RawMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[key] = answer
}

// Checkpoints returns how many checkpoints were asked for; Reports all progress, oldest first; Output
// the log so far.
func (h *Host) Checkpoints() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

// Reports returns all progress reports, oldest first.
func (h *Host) Reports() []task.Progress {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.progress)
}

// Output returns the attempts' log so far.
func (h *Host) Output() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// Progress records p.
func (h *Host) Progress(p task.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.dead {
		h.progress = append(h.progress, p)
		if h.Reported != nil {
			h.Reported(p)
		}
	}
}

// Checkpoint keeps data, unless a hook kills the attempt.
func (h *Host) Checkpoint(data []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return ErrKilled
	}
	h.calls++
	if err := h.hook(h.Before, data); err != nil {
		return err
	}
	h.last = slices.Clone(data)
	return h.hook(h.After, data)
}

// hook runs f, if there is one; h.mu is held.
func (h *Host) hook(f func(int, []byte) error, data []byte) error {
	if f == nil {
		return nil
	}
	err := f(h.calls, data)
	h.dead = err != nil
	return err
}

// Load returns the last checkpoint.
func (h *Host) Load() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.last), nil
}

// Secrets returns what SetSecrets gave.
func (h *Host) Secrets() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.secrets), nil
}

// Log returns the recorded log.
func (h *Host) Log() io.Writer { return logWriter{h} }

type logWriter struct{ h *Host }

func (w logWriter) Write(b []byte) (int, error) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	return w.h.log.Write(b)
}

// ArtifactsDir returns a folder that exists.
func (h *Host) ArtifactsDir() (string, error) { return h.folder("artifacts") }

// WorkDir returns a folder that exists.
func (h *Host) WorkDir() (string, error) { return h.folder("work") }

// AttemptDir returns a folder that exists: the same for all attempts.
func (h *Host) AttemptDir() (string, error) { return h.folder("attempt") }

// SetAdopted makes the next attempts ones that an earlier daemon began.
func (h *Host) SetAdopted(adopted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adopted = adopted
}

// Adopted returns what SetAdopted said.
func (h *Host) Adopted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.adopted
}

// Leave has the daemon leave, once.
func (h *Host) Leave() { close(h.leaving) }

// Leaving is closed by Leave.
func (h *Host) Leaving() <-chan struct{} { return h.leaving }

// Mark records trigger.
func (h *Host) Mark(trigger task.Trigger) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return ErrKilled
	}
	h.marks = append(h.marks, trigger)
	return nil
}

// Marks returns what was marked, oldest first.
func (h *Host) Marks() []task.Trigger {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.marks)
}

func (h *Host) folder(name string) (string, error) {
	dir := filepath.Join(h.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// Ask returns the answer that was given with Answer.
func (h *Host) Ask(q task.Question) (json.RawMessage, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer, ok := h.answers[q.Key]; ok {
		return answer, nil
	}
	return nil, errors.New("no answer to " + q.Key)
}
