package shim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/daemon/shim"
	"durable/daemon/shim/cgroup/cgrouptest"
	"durable/daemon/shim/protocol"
)

// grouped makes an attempt whose program gets a control group in base.
func grouped(t testing.TB, script string) (b *bed, base string) {
	base = cgrouptest.New(t)
	b = newBed(t, script)
	b.l.Groups = shim.GroupsIn(base)
	return b, base
}

// respawning is a program that no look at the processes catches: chains of processes without marks, parents and common sessions, each link of
// which starts the next and leaves. They end by themselves once the test's process is gone: a failed test must not leave them behind.
var respawning = `trap "" TERM HUP
link='[ -d /proc/` + strconv.Itoa(os.Getpid()) + ` ] || exit; trap "" TERM HUP; sleep 0.03; setsid env -i PATH="$PATH" sh -c "$1" sh "$1" &'
for i in 1 2; do setsid env -i PATH="$PATH" sh -c "$link" sh "$link" & done
mkdir "$1/own" && (sh -c 'echo $$ > "$1/own/cgroup.procs"; exec setsid sleep 1000' sh "$1" &)
echo up > up; while :; do sleep 1000; done`

// TestStopGroup: nothing is left of a tree in a control group, whoever is left to end it, nor of the group.
func TestStopGroup(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(b *bed) *shim.Process
		want    error
	}{
		"by its holder":    {func(b *bed) *shim.Process { p := b.start(); b.eventually("up", b.has("up")); return p }, nil},
		"without a holder": {func(b *bed) *shim.Process { p := b.start(); b.eventually("up", b.has("up")); b.killHolder(); return p }, shim.ErrLost},
		"recovered without a holder": {func(b *bed) *shim.Process {
			b.waitCancelled(orphanUp(b))
			return b.recover(shim.Orphaned)
		}, shim.ErrLost},
		"recovered from an empty folder": {func(b *bed) *shim.Process {
			b.waitCancelled(orphanUp(b))
			for _, name := range []string{"started", "child"} {
				_ = os.Remove(filepath.Join(b.dir, name))
			}
			return b.recover(shim.Orphaned)
		}, shim.ErrNotExecuted},
		"over a hung holder": {func(b *bed) *shim.Process {
			p := b.start()
			b.eventually("up", b.has("up"))
			stopProcess(b, b.holder().PID)
			return p
		}, shim.ErrLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, base := grouped(t, respawning)
			bystander(t)
			b.spec.Args = append(b.spec.Args, "sh", b.group(base))
			p := c.prepare(b)
			if err := p.Stop(50 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if e := b.wait(p); e.Signal != "SIGKILL" {
					t.Errorf("got %+v", e)
				}
			} else if _, err := p.Wait(b.ctx()); !errors.Is(err, shim.ErrLost) && !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if n := b.sleepers(); n != 0 {
				t.Errorf("%d processes are left", n)
			}
			b.noGroups(base)
		})
	}
}

func orphanUp(b *bed) *shim.Process {
	p := b.start()
	b.eventually("up", b.has("up"))
	b.killHolder()
	return p
}

func stopProcess(b *bed, pid int) {
	if err := exec.Command("kill", "-STOP", fmt.Sprint(pid)).Run(); err != nil {
		b.Fatal(err)
	}
}

// group is where the control group of the attempt is made.
func (b *bed) group(base string) string {
	return filepath.Join(base, "durable-"+filepath.Base(filepath.Dir(b.dir))+"."+filepath.Base(b.dir))
}

// noGroups: all have been removed. The kernel may count a process for a moment after its end.
func (b *bed) noGroups(base string) {
	b.Helper()
	b.eventually("the groups are removed", func() bool { b.l.Groups.Retry(); return len(cgrouptest.Groups(base)) == 0 })
}

// TestGroupOfOrdinaryEnds: a group goes with its program, however that ends; what it may leave behind keeps it.
func TestGroupOfOrdinaryEnds(t *testing.T) {
	b, base := grouped(t, "exit 3")
	if e := b.wait(b.start()); e.Code != 3 {
		t.Errorf("got %+v", e)
	}
	b.noGroups(base)

	b = newBed(t, "")
	b.l.Groups, b.spec.Path = shim.GroupsIn(base), "/bin/none/at/all"
	if _, err := b.l.Start(b.ctx(), b.dir, b.specs); !errors.Is(err, shim.ErrNotExecuted) {
		t.Errorf("got %v", err)
	}
	b.noGroups(base)

	b = newBed(t, "")
	b.l.Groups = shim.GroupsIn(base)
	if _, err := b.l.Start(b.ctx(), b.dir, func() (shim.Spec, error) { return shim.Spec{}, errors.New("no") }); !errors.Is(err, shim.ErrNotExecuted) {
		t.Errorf("got %v", err)
	}
	b.noGroups(base)

	b = newBed(t, "read x < go & exit 0")
	b.l.Groups, b.spec.KeepChildren = shim.GroupsIn(base), true
	if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
		t.Fatal(err)
	}
	if e := b.wait(b.start()); e.Code != 0 {
		t.Errorf("got %+v", e)
	}
	if len(cgrouptest.Groups(base)) != 1 || b.members() != 1 {
		t.Errorf("groups %v, %d processes", cgrouptest.Groups(base), b.members())
	}
	b.write("go", "\n")
	b.noGroups(base)
}

// TestHolderOutsideTheGroup: only the program is in it, it runs on without a daemon, and is adopted with it.
func TestHolderOutsideTheGroup(t *testing.T) {
	b, base := grouped(t, "exec sleep 1000")
	p := b.start()
	procs, err := os.ReadFile(filepath.Join(b.group(base), "cgroup.procs"))
	if err != nil || string(procs) != fmt.Sprintln(p.PID()) {
		t.Errorf("in the group: %q, %v; the program is %d", procs, err, p.PID())
	}
	s, err := protocol.ParseStarted(b.read("started"))
	if err != nil || s.Group.Path != b.group(base) || s.Group.ID == 0 {
		t.Errorf("started: %+v, %v", s, err)
	}
	next := b.recover(shim.Running)
	if err := next.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if e := b.wait(next); e.Signal != "SIGTERM" {
		t.Errorf("got %+v", e)
	}
	b.noGroups(base)
	b.wait(p)
}

// TestNoGroupAfterAll: a group that has gone, that takes nobody, or that the holder does not know of (as one of a build before it)
// holds nothing up, and the tree ends as it does without.
func TestNoGroupAfterAll(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"gone": os.Remove,
		"takes nobody": func(path string) error {
			return os.WriteFile(filepath.Join(path, "cgroup.type"), []byte("threaded"), 0)
		},
		"another": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		for _, orphan := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, orphan %t", name, orphan), func(t *testing.T) {
				b, base := grouped(t, `trap "" TERM; setsid sleep 1000 & echo up > up; while :; do sleep 1000; done`)
				p, err := b.l.Start(b.ctx(), b.dir, func() (shim.Spec, error) { return b.spec, spoil(b.group(base)) })
				if err != nil {
					t.Fatal(err)
				}
				b.eventually("up", b.has("up"))
				if strings.Contains(string(b.read("started")), "cgroup") != (name == "takes nobody") {
					t.Errorf("started: %s", b.read("started"))
				}
				if orphan {
					b.killHolder()
				}
				if err := p.Stop(0); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Wait(b.ctx()); errors.Is(err, shim.ErrLost) != orphan || err != nil && !orphan {
					t.Errorf("got %v", err)
				}
				if n := b.sleepers(); n != 0 {
					t.Errorf("%d processes are left", n)
				}
			})
		}
	}
}

// TestForeignGroup: a "started" that names the group of another attempt is not believed.
func TestForeignGroup(t *testing.T) {
	b, base := grouped(t, "exec sleep 1000")
	p := b.start()
	c := newBed(t, "exec sleep 1000")
	c.l.Groups = b.l.Groups
	c.waitCancelled(c.orphan())
	s, err := protocol.ParseStarted(c.read("started"))
	other, otherErr := protocol.ParseStarted(b.read("started"))
	if err != nil || otherErr != nil {
		t.Fatal(err, otherErr)
	}
	s.Group = other.Group
	c.write("started", string(s.Append()))
	q := c.recover(shim.Orphaned)
	if err := q.Stop(0); err != nil {
		t.Fatal(err)
	}
	c.waitErr(q, shim.ErrLost)
	if b.members() != 1 {
		t.Error("another's program was killed")
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	b.wait(p)
	if left := cgrouptest.Groups(base); !slices.Equal(left, []string{filepath.Base(c.group(base))}) {
		t.Errorf("%v are left; want the one that was not believed in", left)
	}
}

// BenchmarkKillTree: from a Stop without grace until Wait says that nothing is left of 300 processes in sessions of their own, while 300
// others run.
func BenchmarkKillTree(b *testing.B) {
	const many = `trap "" TERM HUP; i=0; while [ $i -lt 300 ]; do (setsid sleep 1000 &); i=$((i+1)); done; echo up > up; while :; do sleep 1000; done`
	for _, c := range []struct {
		name   string
		group  bool
		orphan bool
	}{{"walk", false, false}, {"group", true, false}, {"walk-orphan", false, true}, {"group-orphan", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			base := cgrouptest.New(b)
			others := newBed(b, many)
			op := others.start()
			others.eventually("up", others.has("up"))
			var took []time.Duration
			for b.Loop() {
				bed := newBed(b, many)
				if c.group {
					bed.l.Groups = shim.GroupsIn(base)
				}
				p := bed.start()
				bed.eventually("up", func() bool { return bed.has("up")() && bed.sleepers() >= 302 })
				if c.orphan {
					bed.killHolder()
				}
				begin := time.Now()
				if err := p.Stop(0); err != nil {
					b.Fatal(err)
				}
				_, _ = p.Wait(context.Background())
				took = append(took, time.Since(begin))
			}
			_ = op.Stop(0)
			_, _ = op.Wait(context.Background())
			b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
			b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
		})
	}
}
