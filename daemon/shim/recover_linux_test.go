package shim_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/daemon/shim"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// orphan starts a program, and kills its holder once the program can be told by its marks.
func (b *bed) orphan() *shim.Process {
	b.Helper()
	p := b.start()
	b.eventually("the program has begun", func() bool { return b.members() > 0 })
	b.killHolder()
	return p
}

// TestHolderKilled: the program is watched to its end, which nobody knows.
func TestHolderKilled(t *testing.T) {
	for _, adopted := range []bool{false, true} {
		t.Run(map[bool]string{false: "by its daemon", true: "by the next"}[adopted], func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "read x < go; exit 0")
			if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
				t.Fatal(err)
			}
			p := b.orphan()
			if adopted {
				b.waitCancelled(p)
				p = b.recover(shim.Orphaned)
			}
			told := make(chan struct{}, 2)
			p.OnOrphan = func() { told <- struct{}{} }
			result := make(chan error, 1)
			go func() {
				_, err := p.Wait(context.Background())
				result <- err
			}()
			select {
			case <-told:
			case <-time.After(patience):
				t.Fatal("nobody was told of the orphan")
			}
			select {
			case err := <-result:
				t.Fatalf("it still runs, but Wait returned %v", err)
			default:
			}
			b.write("go", "\n")
			if err := <-result; !errors.Is(err, shim.ErrLost) {
				t.Errorf("got %v", err)
			}
			if len(told) != 0 {
				t.Error("told twice")
			}
			b.waitErr(b.recover(shim.Lost), shim.ErrLost)
		})
	}
}

// waitCancelled waits as a daemon does that leaves: the holder is reaped, the program runs on.
func (b *bed) waitCancelled(p *shim.Process) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.OnOrphan = cancel
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		b.Fatalf("got %v", err)
	}
}

// TestWaitEndsWithContext: a daemon that leaves lets the program run, and finds it again.
func TestWaitEndsWithContext(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	p := b.start()
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("leaving")
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	if _, err := p.Wait(ctx); err != cause {
		t.Fatalf("got %v", err)
	}
	again := b.recover(shim.Running)
	if err := again.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if e := b.wait(again); e.Signal != "SIGTERM" {
		t.Errorf("got %+v", e)
	}
	if e := b.wait(p); e.Signal != "SIGTERM" { // and reaps the holder
		t.Errorf("got %+v", e)
	}
}

// TestAllKilled: holder and program at once is lost; the program alone is a signal.
func TestAllKilled(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	p := b.start()
	b.kill(b.holder())
	b.killTree()
	b.waitErr(p, shim.ErrLost)
	b.recover(shim.Lost)
	b = newBed(t, "exec sleep 1000")
	p = b.start()
	b.killTree()
	if e := b.wait(p); e.Signal != "SIGKILL" {
		t.Errorf("got %+v", e)
	}
}

// killTree kills what has the marks, which a program has from its exec on.
func (b *bed) killTree() {
	b.Helper()
	b.eventually("it is killed", func() bool {
		n, err := b.tree().Signal(syscall.SIGKILL)
		if err != nil {
			b.Fatal(err)
		}
		return n > 0
	})
}

func TestOtherBoot(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	b.waitCancelled(b.orphan())
	b.l.Boot = func() string { return "another" }
	b.waitErr(b.recover(shim.Interrupted), shim.ErrInterrupted)

	b = newBed(t, "exit 3") // an end that is known stays known
	b.wait(b.start())
	b.l.Boot = func() string { return "another" }
	if e := b.wait(b.recover(shim.Ended)); e.Code != 3 {
		t.Errorf("got %+v", e)
	}
}

// TestNothingStarted: the folder is closed for holders that come late.
func TestNothingStarted(t *testing.T) {
	b := newBed(t, "echo ran >> witness")
	b.waitErr(b.recover(shim.NotStarted), shim.ErrNotExecuted)
	b.mustRun(0)
	b.recover(shim.NotStarted)
}

// TestStartedUnsynced: after a power failure "started" can be there and not be whole. Then nothing has run, unless there is a
// trace of it.
func TestStartedUnsynced(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "torn": `{"version":1,"nonce":"n-1","bo`, "zeros": "\x00\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "echo ran >> witness")
			b.write("started", text)
			for range 2 {
				b.waitErr(b.recover(shim.NotStarted), shim.ErrNotExecuted)
				b.mustRun(0)
			}
			b = newBed(t, "echo ran >> witness")
			b.write("started", text+"\n") // that is whole, and wrong
			b.recover(shim.Lost)
			b = newBed(t, "exec sleep 1000")
			b.waitCancelled(b.orphan())
			b.write("started", text)
			_ = os.Remove(filepath.Join(b.dir, "child")) // if its holder came to write it
			b.recover(shim.Orphaned)
		})
	}
}

func TestLateHolders(t *testing.T) {
	b := newBed(t, "echo ran >> witness; exec sleep 1000")
	p := b.start()
	out, _ := b.holderByHand().CombinedOutput()
	if r, err := protocol.ParseReply(out); err != nil || r.Refusal != protocol.RefusedLocked {
		t.Errorf("got %s", out)
	}
	b.eventually("it ran", func() bool { return b.has("witness")() && b.witness() == 1 })
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.wait(p)
	b.mustRun(1)
}

// TestCorruptFiles: set aside, named, and never taken for success.
func TestCorruptFiles(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "torn": `{"version":1,"code":0,"en`, "object": "{}", "no version": `{"code":0,"ended":"2026-01-01T00:00:00Z"}`, "zeros": "\x00\x00\x00\x00"} {
		for _, file := range []string{"exit", "started"} {
			t.Run(file+" "+name, func(t *testing.T) {
				t.Parallel()
				b := newBed(t, "exit 0")
				b.wait(b.start())
				if file == "started" {
					if err := os.Remove(filepath.Join(b.dir, "exit")); err != nil {
						t.Fatal(err)
					}
				}
				b.write(file, text)
				for range 2 { // the second time too
					err := b.waitErr(b.recover(shim.Lost), shim.ErrLost)
					if !strings.Contains(err.Error(), filepath.Join(b.dir, file)) {
						t.Errorf("it names nothing: %v", err)
					}
				}
				if got := string(b.read(file + protocol.SuffixCorrupt)); got != text || b.has(file)() {
					t.Errorf("set aside: %q", got)
				}
			})
		}
	}
	b := newBed(t, "exec sleep 1000")
	b.waitCancelled(b.orphan())
	b.write("started", "?")
	p := b.recover(shim.Orphaned) // found by its marks, which the path has too
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.waitErr(p, shim.ErrLost)
}

// TestNewerFolder: left alone, byte for byte.
func TestNewerFolder(t *testing.T) {
	for _, file := range []string{"exit", "started"} {
		b := newBed(t, "true")
		b.write(file, `{"version":2,"what":{"ever":[1,{}]}}`)
		_, _, err := b.l.Recover(b.ctx(), b.dir, nonce)
		if !errors.Is(err, task.VersionSkew) || task.AsError(err).Hint == "" {
			t.Errorf("got %v", err)
		}
		if b.has("revoked")() {
			t.Error("it was revoked")
		}
	}
}

func TestOtherNonce(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	p := b.start()
	if _, _, err := b.l.Recover(b.ctx(), b.dir, "other"); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("got %v", err)
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.wait(p)
	if _, _, err := b.l.Recover(b.ctx(), b.dir, "other"); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("got %v", err)
	}
}

// TestExitIsNotLost: a disk that takes no "exit" holds the end up, and does not lose it.
func TestExitIsNotLost(t *testing.T) {
	b := newBed(t, "exit 6")
	block := filepath.Join(b.dir, "exit.tmp")
	if err := os.Mkdir(block, 0o700); err != nil {
		t.Fatal(err)
	}
	p := b.start()
	b.eventually("the program has ended", func() bool { return b.members() == 0 })
	ctx, cancel := context.WithTimeout(b.ctx(), 300*time.Millisecond)
	defer cancel()
	if e, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %+v, %v", e, err)
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	if e := b.wait(p); e.Code != 6 {
		t.Errorf("got %+v", e)
	}
}
