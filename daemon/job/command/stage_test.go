//go:build unix

package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/daemon/shim"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// program is one that the test plays: it has the seams to package shim.
type program struct {
	startErr error
	verdict  shim.Verdict
	unknown  int           // Recover fails so many times
	blind    int           // and so Wait
	deaf     bool          // Wait waits for the end alone
	end      chan struct{} // closed when the program ends, with:
	exit     shim.Exit
	err      error
	onStop   func()

	mu     sync.Mutex
	spec   shim.Spec
	starts int
	nonce  string
	grace  time.Duration
	stops  int
}

func newProgram() *program { return &program{end: make(chan struct{})} }

// ended returns a program that has ended like that.
func ended(exit shim.Exit, err error) *program {
	p := newProgram()
	p.exit, p.err = exit, err
	close(p.end)
	return p
}

func (p *program) Start(_ context.Context, _ string, spec func() (shim.Spec, error)) (command.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts++
	var err error
	if p.spec, err = spec(); err != nil {
		return nil, err
	}
	return p, p.startErr
}

func (p *program) Recover(_ context.Context, _, nonce string) (command.Process, shim.Verdict, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonce = nonce
	if p.unknown > 0 {
		p.unknown--
		return nil, "", errors.New("the disk does not answer")
	}
	return p, p.verdict, nil
}

func (p *program) Wait(ctx context.Context) (shim.Exit, error) {
	p.mu.Lock()
	blind := p.blind > 0
	p.blind--
	p.mu.Unlock()
	if blind {
		return shim.Exit{}, errors.New("too many open files")
	}
	if p.deaf {
		<-p.end
		return p.exit, p.err // never the context, which may be done too
	}
	select {
	case <-p.end:
		return p.exit, p.err
	case <-ctx.Done():
		return shim.Exit{}, context.Cause(ctx)
	}
}

func (p *program) Stop(grace time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grace = grace
	p.stops++
	if p.stops == 1 {
		return errors.New("no answer") // asked again
	}
	p.onStop()
	return nil
}

// stage is a task of the kind and the host that its attempts run on.
type stage struct {
	t    *testing.T
	kind *command.Kind
	host *jobtest.Host
	task task.Task
	dir  string
	work string
}

// newStage prepares a task with more parameters than a command.
func newStage(t *testing.T, p *program, more map[string]any) *stage {
	t.Helper()
	dir := t.TempDir()
	script(t, dir, "prog", "#!/bin/sh\n", 0o755)
	params := map[string]any{"command": []string{"prog", "arg"}, "cwd": dir}
	for k, v := range more {
		params[k] = v
	}
	k := newKind("PATH=" + dir)
	k.SetHolder(p)
	plan, err := k.Prepare(t.Context(), spec(t, params))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, kind: k, host: jobtest.New(t)}
	s.host.SetSecrets(plan.Secrets)
	s.task = task.Task{ID: "0190", RootID: "0190", Number: 42, Attempt: 3, Kind: command.Name, Params: plan.Params}
	s.dir, _ = s.host.AttemptDir()
	work, _ := s.host.WorkDir()
	s.work = filepath.Join(work, "checkpoint")
	return s
}

func (s *stage) run(ctx context.Context) (any, error) {
	return s.kind.Run(ctx, s.host.Context(s.task))
}

// write puts a file into the folder of the attempt.
func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// verdict returns a program that Recover finds like that.
func verdict(v shim.Verdict, exit shim.Exit, err error) *program {
	p := ended(exit, err)
	p.verdict = v
	return p
}

// begin runs an attempt and returns when its program is up.
func (s *stage) begin(ctx context.Context) <-chan error {
	s.t.Helper()
	result := make(chan error, 1)
	go func() {
		got, err := s.run(ctx)
		if err == nil && got == nil {
			err = errors.New("neither result nor error")
		}
		result <- err
	}()
	await(s.t, "the start", func() bool { return len(s.host.Marks()) > 0 })
	return result
}

// await polls what another goroutine does.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	polltest.True(t, time.Minute, what, done)
}
