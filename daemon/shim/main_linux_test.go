package shim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon/shim"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
	"durable/ipc/polltest"
)

// patience bounds every wait for something that must happen; only a hanging test meets it.
const patience = time.Minute

// holderPath is the durable-shim under test.
var holderPath string

func TestMain(m *testing.M) {
	if os.Getenv(envRole) != "" {
		os.Exit(role())
	}
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		panic(err)
	}
	holderPath = filepath.Join(dir, "durable-shim")
	if out, err := exec.Command("go", "build", "-o", holderPath, "durable/cmd/durable-shim").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build durable-shim: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

var serial atomic.Int64

// bed is one attempt's folder, and what a test needs to run something in it.
type bed struct {
	testing.TB
	dir  string
	spec shim.Spec
	l    shim.Launcher
}

const nonce = "n-1"

// newBed makes an attempt that runs script under a shell. What is left of it at the end of the test is killed.
func newBed(t testing.TB, script string) *bed {
	id := fmt.Sprintf("test-%d-%d", os.Getpid(), serial.Add(1))
	dir := filepath.Join(t.TempDir(), id, "1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bed{TB: t, dir: dir, l: shim.Launcher{Program: holderPath}, spec: shim.Spec{
		Nonce: nonce, Args: []string{"sh", "-c", script}, Path: "/bin/sh", Dir: dir, Grace: 200 * time.Millisecond,
		Env: []string{"PATH=" + os.Getenv("PATH"), "DURABLE_TASK_ID=" + id, "DURABLE_ATTEMPT=1"},
	}}
	t.Cleanup(func() {
		if s, err := protocol.ParseStarted(b.read("started")); err == nil {
			b.kill(s.Holder)
		}
		b.eventually("the tree is gone", func() bool { n, _ := b.tree().Signal(syscall.SIGKILL); return n == 0 })
		b.eventually("its holder writes no more", b.unlocked)
	})
	return b
}

func (b *bed) specs() (shim.Spec, error) { return b.spec, nil }

func (b *bed) tree() proc.Tree { return proc.Tree{Marks: protocol.Marks(b.spec.Env)} }

// kill sends SIGKILL to a process that is what it was.
func (b *bed) kill(p protocol.Process) {
	if p.PID > 1 && proc.Start(p.PID) == p.Start {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

func (b *bed) read(name string) []byte {
	data, _ := os.ReadFile(filepath.Join(b.dir, name))
	return data
}

func (b *bed) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// eventually polls another process.
func (b *bed) eventually(what string, ok func() bool) {
	b.Helper()
	polltest.True(b, patience, what, ok)
}

func (b *bed) has(name string) func() bool {
	return func() bool { _, err := os.Stat(filepath.Join(b.dir, name)); return err == nil }
}

func (b *bed) start() *shim.Process {
	b.Helper()
	p, err := b.l.Start(b.ctx(), b.dir, b.specs)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bed) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.Cleanup(cancel)
	return ctx
}

func (b *bed) wait(p *shim.Process) shim.Exit {
	b.Helper()
	e, err := p.Wait(b.ctx())
	if err != nil {
		b.Fatalf("wait: %v; stderr %q", err, b.read("stderr"))
	}
	return e
}

func (b *bed) waitErr(p *shim.Process, want error) error {
	b.Helper()
	e, err := p.Wait(b.ctx())
	if !errors.Is(err, want) {
		b.Fatalf("wait: %+v, %v; want the error %v", e, err, want)
	}
	return err
}

// recover asks what has become of the attempt. A holder that has written "exit" lives on for an instant: it is waited for where the
// verdict is to be one on what it has left behind.
func (b *bed) recover(want shim.Verdict) *shim.Process {
	b.Helper()
	if want != shim.Running {
		b.eventually("the lock is free", b.unlocked)
	}
	p, verdict, err := b.l.Recover(b.ctx(), b.dir, nonce)
	if err != nil || verdict != want {
		b.Fatalf("recover: %q, %v; want %q", verdict, err, want)
	}
	return p
}

func (b *bed) holder() protocol.Process {
	b.Helper()
	s, err := protocol.ParseStarted(b.read("started"))
	if err != nil {
		b.Fatalf("started: %v", err)
	}
	return s.Holder
}

// killHolder kills the holder alone, and waits until its lock is free.
func (b *bed) killHolder() {
	b.Helper()
	b.kill(b.holder())
	b.eventually("the lock is free", b.unlocked)
}

// unlocked reports whether nobody has the lock. It gives it back by name: a process that another test starts in this moment has the
// descriptor until it is executed, and would keep what is only closed.
func (b *bed) unlocked() bool {
	f, err := protocol.TryLock(b.dir)
	if err == nil {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}
	return !errors.Is(err, protocol.ErrLocked)
}

func (b *bed) members() int {
	b.Helper()
	m, err := b.tree().Members()
	if err != nil {
		b.Fatal(err)
	}
	return len(m)
}

// witness counts how often the program has run: a line each time.
func (b *bed) witness() int { return strings.Count(string(b.read("witness")), "\n") }
