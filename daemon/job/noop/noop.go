// Package noop is the kind that does nothing for a while: for benchmarks and tests of everything
// around a job. It is no MCP tool.
//
// # Design
//
// It reports the moment of each Progress call in the report's message, so that a watcher can measure how long the
// report took to arrive. Rejected: a sleep in tests' own kinds, of which each test would have its own.
package noop

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Name is the kind's name.
const Name = "noop"

// Limits of the parameters.
const (
	MaxDuration = 24 * time.Hour
	MaxSteps    = 1_000_000
)

// Params are the kind's parameters.
type Params struct {
	// Duration is how long an attempt takes in all.
	Duration task.Duration `json:"duration"`
	// Steps is the number of progress reports on the way; each carries the time of its call.
	Steps int `json:"steps,omitempty"`
	// Checkpoint makes each step durable.
	Checkpoint bool `json:"checkpoint,omitempty"`
	// Fail ends each attempt with that error.
	Fail string `json:"fail,omitempty"`
	// Panic ends each attempt with that panic.
	Panic string `json:"panic,omitempty"`
	// Witness is a file to which each attempt appends a line when it begins, at each step and when
	// it ends, so that a test can tell what really ran.
	Witness string `json:"witness,omitempty"`
	// Gate is a file: after its first step an attempt goes no further until it is there, so that a test has all the
	// time that it needs to do something to an attempt that has begun.
	Gate string `json:"gate,omitempty"`
}

// schema is a value once and for all: Describe is called for each submit.
var schema = json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{` +
	`"duration":{"type":"string","description":"how long an attempt takes, such as 0s or 1m30s"},` +
	`"steps":{"type":"integer","minimum":0,"maximum":1000000,"description":"progress reports on the way"},` +
	`"checkpoint":{"type":"boolean","description":"make each step durable"},` +
	`"fail":{"type":"string","description":"end each attempt with this error"},` +
	`"panic":{"type":"string","description":"end each attempt with this panic"},` +
	`"witness":{"type":"string","description":"file to append a line to at the beginning, at each step and at the end"},` +
	`"gate":{"type":"string","description":"file without which an attempt goes no further than its first step"}}}`)

// Kind is the noop kind. The zero value is ready.
type Kind struct{}

var _ job.Kind = Kind{}

// Describe implements job.Kind.
func (Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name: Name, Title: "No operation", Schema: schema,
		Description: "Does nothing for a while: for benchmarks and tests.",
	}
}

// Prepare implements job.Kind.
func (Kind) Prepare(_ context.Context, spec task.Spec) (job.Plan, error) {
	var p Params
	if err := job.Decode(spec.Params, &p, "noop takes duration, steps, checkpoint, fail, panic, witness and gate"); err != nil {
		return job.Plan{}, err
	}
	switch d := time.Duration(p.Duration); {
	case d < 0 || d > MaxDuration:
		return job.Plan{}, task.Errorf(task.InvalidArgument, "params of noop: duration: %s, want 0s to %s", d, MaxDuration)
	case p.Steps < 0 || p.Steps > MaxSteps:
		return job.Plan{}, task.Errorf(task.InvalidArgument, "params of noop: steps: %d, want 0 to %d", p.Steps, MaxSteps)
	}
	params, err := json.Marshal(p)
	return job.Plan{Title: "noop", Params: params}, err
}

type position struct {
	Step int `json:"step"`
}

// Run implements job.Kind. The result is {"steps": n}.
func (Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	var p Params
	if err := j.Params(&p); err != nil {
		return nil, job.Permanent(err)
	}
	var at position
	if _, err := j.Load(&at); err != nil {
		return nil, err
	}
	w, err := openWitness(p.Witness, j)
	if err != nil {
		return nil, err
	}
	defer w.close()
	w.say("begin %d", at.Step)
	defer func() { w.say("end %d", at.Step) }()
	if p.Panic != "" {
		panic(p.Panic)
	}
	pause := time.Duration(p.Duration) / time.Duration(max(1, p.Steps))
	for ; at.Step < p.Steps; at.Step++ {
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		if err := step(j, p, position{at.Step + 1}); err != nil {
			return nil, err
		}
		w.say("step %d", at.Step+1)
		if err := pass(ctx, p.Gate); err != nil {
			return nil, err
		}
	}
	if p.Steps == 0 {
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
	if p.Fail != "" {
		return nil, fmt.Errorf("%s", p.Fail)
	}
	return map[string]int{"steps": at.Step}, nil
}

// step makes the position durable, if asked for, and reports it with the time of the call.
func step(j *job.Context, p Params, at position) error {
	if p.Checkpoint {
		if err := j.Checkpoint(at); err != nil {
			return err
		}
	}
	j.Progress(task.Progress{
		Done: int64(at.Step), Total: task.Total(int64(p.Steps)), Unit: "steps",
		Message: time.Now().UTC().Format(time.RFC3339Nano),
	})
	return nil
}

// pass returns when the gate is there.
func pass(ctx context.Context, gate string) error {
	for gate != "" {
		if _, err := os.Stat(gate); err == nil {
			return nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// witness appends lines "task attempt pid what" to a file; each is one write, so lines of several
// processes do not mix.
type witness struct {
	f      *os.File
	prefix string
}

func openWitness(path string, j *job.Context) (*witness, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open witness file: %w", err)
	}
	return &witness{f: f, prefix: fmt.Sprintf("%s %d %d ", j.ID(), j.Attempt(), os.Getpid())}, nil
}

func (w *witness) say(format string, args ...any) {
	if w != nil {
		_, _ = fmt.Fprintf(w.f, w.prefix+format+"\n", args...)
	}
}

func (w *witness) close() {
	if w != nil {
		_ = w.f.Close()
	}
}
