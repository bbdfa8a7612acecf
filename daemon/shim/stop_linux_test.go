package shim_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/daemon/shim"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// stubborn is a program that ignores SIGTERM, with double-forked grandchildren in sessions of their own that ignore it too,
// one of them without the marks in its environment.
const stubborn = `trap "" TERM HUP
setsid sh -c 'sh -c "sleep 1000 & echo up >> up; wait" & exit' &
setsid sh -c 'env -i PATH=$PATH sh -c "sleep 1001 & echo up >> up; wait" & exit' &
(setsid sh -c 'setsid sh -c "sleep 1002 & echo up >> up; wait" & exit' &)
echo up >> up
while :; do sleep 1003; done`

func (b *bed) stubbornUp() {
	b.Helper()
	b.eventually("the tree is up", func() bool { return strings.Count(string(b.read("up")), "\n") == 4 })
}

// sleepers counts the processes of a stubborn tree by another way than the one that is tested. Its holder, which has the same folder, is
// none of them: it lives on for an instant when all is known.
func (b *bed) sleepers() (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, f := range files {
		at, _ := os.Readlink(f)
		program, _ := os.Readlink(filepath.Join(filepath.Dir(f), "exe"))
		if at == b.dir && program != holderPath {
			n++
		}
	}
	return n
}

// bystander is a process that nobody may touch.
func bystander(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start := proc.Start(cmd.Process.Pid)
	t.Cleanup(func() {
		if start == "" || proc.Start(cmd.Process.Pid) != start {
			t.Error("a bystander was killed")
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func TestStopTree(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(b *bed) *shim.Process
		want    error
	}{
		{"by its holder", (*bed).start, nil},
		{"after adoption", func(b *bed) *shim.Process {
			d := b.daemon("")
			b.stubbornUp()
			_ = d.Process.Kill()
			_ = d.Wait()
			return b.recover(shim.Running)
		}, nil},
		{"without a holder", func(b *bed) *shim.Process {
			p := b.start()
			b.stubbornUp()
			b.killHolder()
			return p
		}, shim.ErrLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, stubborn)
			bystander(t)
			p := c.prepare(b)
			b.stubbornUp()
			b.eventually("8 processes", func() bool { return b.sleepers() >= 8 }) // the last of them comes after its shell has spoken
			const grace = 300 * time.Millisecond
			begin := time.Now()
			if err := p.Stop(grace); err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				b.waitErr(p, c.want)
			} else if e := b.wait(p); e.Signal != "SIGKILL" {
				t.Errorf("got %+v", e)
			}
			if took := time.Since(begin); took < grace {
				t.Errorf("it took %s", took)
			}
			if c.want != nil {
				b.eventually("what has no marks and no parent is gone", func() bool { return b.sleepers() <= 2 })
				b.killUnmarked()
			}
			if n := b.sleepers(); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

// killUnmarked ends what has left the tree of a dead holder without a trace: no parent, no marks.
func (b *bed) killUnmarked() {
	files, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, f := range files {
		if at, err := os.Readlink(f); err == nil && at == b.dir {
			_ = exec.Command("kill", "-9", filepath.Base(filepath.Dir(f))).Run()
		}
	}
	b.eventually("they are gone", func() bool { return b.sleepers() == 0 })
}

// TestStopGently: one SIGTERM, no more, and time to tidy up; also for what was stopped.
func TestStopGently(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		b := newBed(t, `trap 'echo term >> witness; exit 9' TERM; echo up > up; while :; do sleep 0.05; done`)
		p := b.start()
		b.eventually("it is up", b.has("up"))
		if frozen {
			if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if err := p.Stop(time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if e := b.wait(p); e.Code != 9 || b.witness() != 1 {
			t.Errorf("got %+v, %d times SIGTERM", e, b.witness())
		}
	}
}

// TestStopSooner: a second stop can shorten the first one's grace, not lengthen it.
func TestStopSooner(t *testing.T) {
	b := newBed(t, `trap "" TERM; echo up > up; while :; do sleep 1000; done`)
	p := b.start()
	b.eventually("it is up", b.has("up"))
	for _, grace := range []time.Duration{time.Hour, 0, time.Hour} {
		if err := p.Stop(grace); err != nil {
			t.Fatal(err)
		}
	}
	if e := b.wait(p); e.Signal != "SIGKILL" {
		t.Errorf("got %+v", e)
	}
}

// TestStopOverHungHolder: a holder that does not act is overruled.
func TestStopOverHungHolder(t *testing.T) {
	t.Parallel()
	b := newBed(t, "exec sleep 1000")
	p := b.start()
	if err := syscall.Kill(b.holder().PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.waitErr(p, shim.ErrLost)
	if n := b.members(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// TestStopWhileWaiting: Stop wakes a Wait that watches an orphan.
func TestStopWhileWaiting(t *testing.T) {
	b := newBed(t, "exec sleep 1000")
	p := b.orphan()
	p.OnOrphan = func() { time.AfterFunc(20*time.Millisecond, func() { _ = p.Stop(time.Minute) }) }
	b.waitErr(p, shim.ErrLost)
}

// TestOrphansLeftovers: what the program leaves behind gets its end also without a holder, or is kept.
func TestOrphansLeftovers(t *testing.T) {
	for _, keep := range []bool{false, true} {
		b := newBed(t, `trap "" TERM; sleep 1000 & read x < go`)
		b.spec.KeepChildren = keep
		if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
			t.Fatal(err)
		}
		p := b.orphan()
		p.OnOrphan = func() { b.write("go", "\n") }
		b.waitErr(p, shim.ErrLost)
		b.checkLeft(keep)
	}
}

// TestNoOneElse: numbers of 1 and less, the caller and its ancestors are nobody's tree.
func TestNoOneElse(t *testing.T) {
	for _, tree := range []proc.Tree{
		{}, {Child: protocol.Process{PID: 1, Start: proc.Start(1)}}, {Child: protocol.Process{PID: -1}},
		{Child: protocol.Process{PID: os.Getppid(), Start: proc.Start(os.Getppid())}},
		{Child: protocol.Process{PID: os.Getpid(), Start: proc.Start(os.Getpid())}}, {Root: 1 << 30}, {Marks: []string{"NOBODY=has this"}},
	} {
		members, err := tree.Members()
		for _, m := range members {
			if m.PID <= 1 || m.PID == os.Getpid() || m.PID == os.Getppid() {
				t.Errorf("%+v has %+v", tree, m)
			}
		}
		if err != nil {
			t.Errorf("%+v has %v, %v", tree, members, err)
		}
	}
}

func TestWaitAgain(t *testing.T) {
	b := newBed(t, "exit 2")
	p := b.start()
	first := b.wait(p)
	if again, err := p.Wait(context.Background()); err != nil || again != first {
		t.Errorf("got %+v, %v", again, err)
	}
}
