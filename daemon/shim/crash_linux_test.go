package shim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"durable/daemon/shim"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// order is what a daemon of the tests is to do: start something, and kill itself at a point.
type order struct {
	Dir, Holder, Point string
	Spec               shim.Spec
}

// daemonRole starts a program, says so, and lives until it is killed.
func daemonRole() int {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return 3
	}
	l := shim.Launcher{Program: o.Holder, Hook: func(point string) {
		if point == o.Point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}}
	p, err := l.Start(context.Background(), o.Dir, func() (shim.Spec, error) { return o.Spec, nil })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 4
	}
	fmt.Println("up", p.PID())
	_, _ = p.Wait(context.Background())
	return 0
}

// daemon runs a daemon of the tests in a process of its own, with nothing read of its output until it has gone if it kills itself.
func (b *bed) daemon(point string) *exec.Cmd {
	b.Helper()
	data, err := json.Marshal(order{b.dir, b.l.Program, point, b.spec})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=daemon")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := in.Write(data); err != nil {
		b.Fatal(err)
	}
	_ = in.Close()
	return cmd
}

// TestDaemonKilled: another daemon finds the program, its whole output and its end.
func TestDaemonKilled(t *testing.T) {
	for code, script := range map[string]string{"0": "exit 0", "7": "exit 7", "SIGSEGV": "ulimit -c 0; kill -SEGV $$", "SIGTERM": "kill $$"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "echo one; read x < go; echo two; "+script)
			if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
				t.Fatal(err)
			}
			d := b.daemon("")
			b.eventually("it runs", func() bool { return string(b.read("stdout")) == "one\n" })
			_ = d.Process.Kill()
			_ = d.Wait()
			p := b.recover(shim.Running)
			b.eventually("the program's number is there", func() bool { return p.PID() > 1 })
			if proc.Start(p.PID()) == "" {
				t.Errorf("pid %d", p.PID())
			}
			b.write("go", "\n")
			e := b.wait(p)
			if got := e.Signal + strconv.Itoa(max(e.Code, 0)); got != code && got != code+"0" {
				t.Errorf("it ended with %+v", e)
			}
			if out := string(b.read("stdout")); out != "one\ntwo\n" {
				t.Errorf("stdout %q", out)
			}
		})
	}
}

// TestStartWindow kills the daemon at each point of a start, or the holder, or first one and then the other: the program runs
// once or never, and what Recover says of it is true.
func TestStartWindow(t *testing.T) {
	rounds := 3
	for _, point := range []string{shim.PointBefore, shim.PointSpawned, shim.PointSpecSent, shim.PointUp} {
		for round := range rounds {
			t.Run(point+strconv.Itoa(round), func(t *testing.T) {
				t.Parallel()
				b := newBed(t, "echo ran >> witness; exit 5")
				_ = b.daemon(point).Wait()
				p, verdict, err := b.l.Recover(b.ctx(), b.dir, nonce)
				if err != nil {
					t.Fatal(err)
				}
				e, err := p.Wait(b.ctx())
				switch {
				case verdict == shim.NotStarted:
					b.mustRun(0)
				case err == nil && e.Code == 5:
					b.mustRun(1)
				default:
					t.Errorf("%s: %+v, %v; it ran %d times", verdict, e, err, b.witness())
				}
				if (point == shim.PointBefore || point == shim.PointSpawned) && verdict != shim.NotStarted || point == shim.PointUp && verdict == shim.NotStarted {
					t.Errorf("killed at %s: %s", point, verdict)
				}
			})
		}
	}
}

// mustRun starts the program once more in the same folder, in vain: it has run as often as it will.
func (b *bed) mustRun(times int) {
	b.Helper()
	if _, err := b.l.Start(b.ctx(), b.dir, b.specs); err == nil {
		b.Error("it was started again")
	}
	if out, err := b.holderByHand().CombinedOutput(); err == nil {
		b.Errorf("a late holder did something: %s", out)
	}
	if got := b.witness(); got != times {
		b.Errorf("it ran %d times, want %d", got, times)
	}
}

// holderByHand is a holder that comes late.
func (b *bed) holderByHand() *exec.Cmd {
	cmd := exec.CommandContext(b.ctx(), holderPath, b.dir)
	b.spec.Version = protocol.Version
	cmd.Stdin = bytesReader(b.spec.Append())
	return cmd
}

// TestHolderKilledAtPoints: the holder stops itself there; daemon and holder are killed, in this order or the other.
func TestHolderKilledAtPoints(t *testing.T) {
	for _, c := range []struct {
		point string
		ran   int
		alive shim.Verdict // found while the holder is stopped and the daemon is gone
		dead  shim.Verdict // found when the holder is killed too
	}{
		{protocol.PauseSpec, 0, "", shim.NotStarted},
		{protocol.PauseStarted, 0, shim.Running, shim.Lost},
		{protocol.PauseForked, 1, shim.Running, shim.Orphaned},
		{protocol.PauseChild, 1, shim.Running, shim.Orphaned},
	} {
		t.Run(c.point, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "echo ran >> witness; exec sleep 1000")
			b.spec.Pause = c.point
			d := b.daemon("")
			pid := b.stoppedHolder(d.Process.Pid)
			_ = d.Process.Kill()
			_ = d.Wait()
			if c.alive != "" {
				b.recover(c.alive)
			}
			b.kill(protocol.Process{PID: pid, Start: proc.Start(pid)})
			b.eventually("the lock is free", b.unlocked)
			b.eventually("it ran", func() bool { return b.witness() == c.ran })
			b.recover(c.dead)
			b.mustRun(c.ran)
		})
	}
}

// stoppedHolder waits until the daemon's only child has stopped itself.
func (b *bed) stoppedHolder(daemon int) (pid int) {
	b.Helper()
	b.eventually("the holder has stopped", func() bool {
		children, _ := proc.Tree{Root: daemon}.Members()
		for _, c := range children {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID))
			if fields := splitStat(string(stat)); fields[0] == "T" && fields[1] == strconv.Itoa(daemon) {
				pid = c.PID
			}
		}
		return pid != 0
	})
	return pid
}
