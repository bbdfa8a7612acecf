package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Limits of what is kept of a command's words.
const (
	maxStderr = 4 << 10
	// pipeDelay is how long what a command left behind may hold its output open.
	pipeDelay = time.Second
	killPause = 10 * time.Millisecond
	// killRounds is how often in a row a tree is looked through that forks while it is killed.
	killRounds = 100
)

// bounds keeps the beginning of what is written to it, or its end.
type bounds struct {
	limit   int
	tail    bool
	buf     bytes.Buffer
	dropped int64
}

func (b *bounds) Write(p []byte) (int, error) {
	if b.tail {
		b.buf.Write(p[max(0, len(p)-b.limit):])
		if over := b.buf.Len() - b.limit; over > 0 {
			b.buf.Next(over)
		}
		return len(p), nil
	}
	n := min(len(p), b.limit-b.buf.Len())
	b.buf.Write(p[:n])
	b.dropped += int64(len(p) - n)
	return len(p), nil
}

// forker starts programs, all from one thread that lives as long as it does: on Linux a program dies with the thread that
// started it, so that none outlives a daemon that was killed.
type forker struct {
	orders chan forkOrder
	done   chan struct{}
}

type forkOrder struct {
	cmd *exec.Cmd
	err chan error
}

func newForker() *forker {
	f := &forker{orders: make(chan forkOrder), done: make(chan struct{})}
	go f.run()
	return f
}

func (f *forker) run() {
	defer close(f.done)
	keepThread()
	for o := range f.orders {
		o.err <- o.cmd.Start()
	}
}

func (f *forker) start(cmd *exec.Cmd) error {
	o := forkOrder{cmd, make(chan error, 1)}
	f.orders <- o
	return <-o.err
}

// close ends the thread: nothing that was started may run any more.
func (f *forker) close() {
	close(f.orders)
	<-f.done
}

// program is one run of a command for a batch.
type program struct {
	path, dir string
	args, env []string
	marks     []string // of env: what tells its processes from all others
	stdin     []byte
	timeout   time.Duration
	grace     time.Duration
}

var errTimedOut = errors.New("timed out")

// program runs p and returns when nothing of it is left but what has left its process group and forgotten its environment.
// A nil error is an exit status of 0.
func (f *forker) program(ctx context.Context, p program, stdout, stderr *bounds) error {
	cmd := &exec.Cmd{Path: p.path, Args: p.args, Dir: p.dir, Env: p.env, Stdout: stdout, Stderr: stderr, WaitDelay: pipeDelay}
	if len(p.stdin) > 0 {
		cmd.Stdin = bytes.NewReader(p.stdin)
	}
	isolate(cmd)
	if err := f.start(cmd); err != nil {
		return notRun{err}
	}
	ended := make(chan error, 1)
	go func() {
		awaitExit(cmd) // its number is still its own: what it left behind can be ended
		ended <- cmd.Wait()
	}()
	var timeout <-chan time.Time
	if p.timeout > 0 {
		timer := time.NewTimer(p.timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case err := <-ended:
		return p.finished(cmd, err)
	case <-timeout:
		p.stop(cmd, ended)
		return errTimedOut
	case <-ctx.Done():
		p.stop(cmd, ended)
		return brokenOff{context.Cause(ctx)}
	}
}

// finished is the end of a program that ended by itself.
func (p program) finished(cmd *exec.Cmd, err error) error {
	if errors.Is(err, exec.ErrWaitDelay) { // it left something behind that left its group
		killLeft(p.marks)
		err = nil
	}
	return err
}

// stop ends a program and all of its tree: it is asked to, and made to once its grace is over.
func (p program) stop(cmd *exec.Cmd, ended <-chan error) {
	t := treeOf(cmd, p.marks)
	t.terminate()
	grace := time.NewTimer(p.grace)
	defer grace.Stop()
	for {
		select {
		case err := <-ended:
			_ = err // it is the answer to us
			killLeft(p.marks)
			return
		case <-grace.C:
			t.kill()
			grace.Reset(killPause)
		}
	}
}

// notRun is the error of a program of which not one instruction ran.
type notRun struct{ error }

func (e notRun) Unwrap() error { return e.error }

// brokenOff is the error of a program that was ended with its attempt: that is no end of its batch.
type brokenOff struct{ error }

func (e brokenOff) Unwrap() error { return e.error }

// describe says how a run ended, in the words of the output. interrupted: it did not end by itself.
func describe(rec *record, err error) (interrupted bool) {
	var off brokenOff
	var exit *exec.ExitError
	var not notRun
	switch {
	case err == nil:
		code := 0
		rec.OK, rec.Exit = true, &code
	case errors.As(err, &exit):
		rec.Error = exit.String()
		if code := exit.ExitCode(); code >= 0 {
			rec.Exit = &code
		}
	case errors.Is(err, errTimedOut):
		rec.Error = "timed out"
	case errors.As(err, &not):
		rec.Error = fmt.Sprintf("not run: %s", strings.TrimPrefix(not.Error(), "fork/"))
	case errors.As(err, &off):
		return true
	default:
		rec.Error = err.Error()
	}
	return false
}
