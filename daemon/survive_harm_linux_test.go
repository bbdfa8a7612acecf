package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// What people and programs do to a command under which no promise may break.

// signalled ends a daemon with SIGTERM. One of waitsForEver does not come to its end while it waits for a program.
func signalled(t testing.TB, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := p.wait(); status != 0 {
		t.Fatalf("the daemon left with status %d:\n%s", status, p.stderr.String())
	}
}

// untilFile is a script that runs until that file is there.
func untilFile(path string) string {
	return `while [ ! -e "` + path + `" ]; do sleep 0.05; done; `
}

// TestFolderRemoved: somebody removes the folder of a command that runs, under a daemon or while there is none. The
// program goes on, no second one is started beside it, its end is not known, and holder and task come to an end.
func TestFolderRemoved(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("daemon down %t", down), func(t *testing.T) {
			t.Parallel()
			dir, word := shortDir(t), "removed-"+unique()
			env, out := withShim(t, 8), t.TempDir()
			end, ran := filepath.Join(out, "end"), filepath.Join(out, "ran")
			p, c, running := runningCommand(t, dir, env, `echo "$DURABLE_ATTEMPT" >> `+ran+`; `+untilFile(end)+`exit 0`, word)
			shim := holder(t, dir, running)
			if down {
				p.kill()
			}
			removeAll(t, filepath.Join(socket.In(dir).Tasks, string(running.ID)))
			if down {
				start(t, dir, "", env...).up()
				awaitTask(t, c, running.ID, func(t task.Task) bool { return t.Phase == task.PhaseOrphaned })
			}
			touch(t, end)
			done, err := c.Wait(t.Context(), running.ID.Ref(), patience)
			if err != nil || done.Outcome != task.OutcomeLost || done.Attempt != 1 {
				t.Errorf("%s (%s), attempt %d, %v; want lost in attempt 1", done.Status, done.Outcome, done.Attempt, err)
			}
			if b, _ := os.ReadFile(ran); string(b) != "1\n" {
				t.Errorf("attempts that ran: %q", b)
			}
			awaitGone(t, shim)
		})
	}
}

// awaitGone waits until that process has ended; a zombie has.
func awaitGone(t testing.TB, pid int) {
	t.Helper()
	polltest.True(t, patience, fmt.Sprintf("process %d has ended", pid), func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestLeaveDuringCancel: programs that are deaf to SIGTERM do not hold up a daemon that is asked to leave, however long they may
// stay; the next one has them cancelled.
func TestLeaveDuringCancel(t *testing.T) {
	t.Parallel()
	dir, word := shortDir(t), "leave-"+unique()
	env := append(withShim(t, 8), waitsForEver)
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	end := filepath.Join(t.TempDir(), "end")
	deaf := func(grace, how string) task.Task {
		made := submitCommand(t, c, map[string]any{
			"command": []string{"/bin/sh", "-c", `trap "" TERM; echo up; ` + how, word + grace}, "cwd": "/", "grace": grace,
		})
		awaitOutput(t, c, awaitTask(t, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning }), "up\n")
		return made
	}
	long := deaf("1h", untilFile(end))
	short := deaf("1s", "while :; do sleep 0.1; done")
	cancel(t, c, long.ID)
	cancel(t, c, short.ID)
	signalled(t, p)
	start(t, dir, "", env...).up()
	nothingLeft(t, c, short.ID, word+"1s")
	touch(t, end)
	nothingLeft(t, c, long.ID, word)
}

// TestLeave: a daemon that is asked to leave does so at once, however many commands run, and they go on.
func TestLeave(t *testing.T) {
	dir, n := shortDir(t), 100
	env := append(withShim(t, n), waitsForEver)
	p := start(t, dir, "", env...).up()
	f := newFleet(t, dir)
	f.launch(n)
	began := time.Now()
	signalled(t, p)
	took := time.Since(began)
	p = start(t, dir, "", env...).up()
	adoption := adopted(t, dir, n)
	began = time.Now()
	p.stop(dir)
	t.Logf("%d commands: SIGTERM took %s, a restart %s, adoption %s", n, took, time.Since(began), adoption)
	start(t, dir, "", env...).up()
	f.release(0)
	f.release(1)
	f.check(0)
	f.check(1)
}

// TestTimeoutAcrossDaemons: a program that was told to end because its time was up, and then left with 0, has timed out, also if
// the daemon that told it died before it saw that.
func TestTimeoutAcrossDaemons(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	env := withShim(t, 8)
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	end := filepath.Join(t.TempDir(), "end")
	running := toldByTimeout(t, c, `trap 'echo told; `+untilFile(end)+` exit 0' TERM; while :; do sleep 0.05; done`)
	shim := holder(t, dir, running)
	p.kill()
	touch(t, end)
	awaitGone(t, shim)
	start(t, dir, "", env...).up()
	done, err := c.Wait(t.Context(), running.ID.Ref(), patience)
	if err != nil || done.Status != task.StatusFailed || done.Outcome != task.OutcomeTimedOut {
		t.Errorf("%s (%s), %v; want failed (timed_out)", done.Status, done.Outcome, err)
	}
}

// toldByTimeout returns a running task whose program was told to end because its time was up, and says so. Where the machine
// needs all that time before the shell has set its trap, the program has ended, and the next one gets more.
func toldByTimeout(t *testing.T, c *client.Client, script string) task.Task {
	t.Helper()
	raw := mustJSON(map[string]any{"command": []string{"/bin/sh", "-c", script}, "cwd": "/", "grace": "1h"})
	for timeout := time.Second; timeout < patience; timeout *= 2 {
		made, err := c.Submit(t.Context(), task.Spec{Kind: "command", Params: raw, Timeout: task.Duration(timeout)}, "")
		must(t, err)
		for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); {
			now, err := c.Wait(t.Context(), made.ID.Ref(), 5*time.Millisecond)
			must(t, err)
			if now.Status.Terminal() {
				break
			}
			if (now.Phase == task.PhaseRunning || now.Phase == task.PhaseStopping) && string(readLog(t, c, now, task.StreamStdout)) == "told\n" {
				return now
			}
		}
	}
	t.Fatal("no program was told")
	return task.Task{}
}

// TestHolderHangsBeforeTheStart: a holder that was stopped before it has started anything holds up neither a daemon that
// leaves nor a cancel, and starts nothing when it is woken up after that.
func TestHolderHangsBeforeTheStart(t *testing.T) {
	t.Parallel()
	dir, out := shortDir(t), t.TempDir()
	real, err := shimProgram()
	if err != nil {
		t.Fatal(err)
	}
	ran := filepath.Join(out, "ran")
	// The holder takes the lock and reads its spec only when this shell has written it: it is stopped in between. What the daemon
	// has sent is there when it is woken up.
	slow := filepath.Join(out, "durable-shim")
	script := "#!/bin/sh\nmkfifo " + out + "/spec\n" + real + "/durable-shim \"$1\" < " + out + "/spec &\necho $! > " + out + "/holder.tmp\n" +
		"exec 5> " + out + "/spec\nwhile ! grep -qs ^lock: /proc/$!/fdinfo/*; do sleep 0.01; done; kill -STOP $!\ncat >&5\nexec 5>&-\nmv " + out + "/holder.tmp " + out + "/holder\nwait\n"
	if err := os.WriteFile(slow, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + out + ":" + os.Getenv("PATH"), waitsForEver}
	p := start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	made := submitCommand(t, c, map[string]any{"command": []string{"/bin/sh", "-c", "echo ran >> " + ran}, "cwd": "/"})
	pid := 0
	polltest.True(t, patience, "there is a holder", func() bool {
		if b, err := os.ReadFile(filepath.Join(out, "holder")); err == nil {
			_, _ = fmt.Sscan(string(b), &pid)
		}
		return pid != 0
	})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	p.kill()
	p = start(t, dir, "", env...).up()
	signalled(t, p)
	start(t, dir, "", env...).up()
	cancel(t, c, made.ID)
	nothingLeft(t, c, made.ID, "no program has begun, much less one of this name")
	_ = syscall.Kill(pid, syscall.SIGCONT)
	awaitGone(t, pid)
	if b, err := os.ReadFile(ran); err == nil {
		t.Errorf("the program ran after its task was cancelled: %q", b)
	}
}

// TestForkBomb: a tree that forks while it is killed is gone after the grace and a second.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	dir, word := shortDir(t), "bomb-"+unique()
	// Each of 20 chains has a new process every few milliseconds, in a session of its own, whose parent leaves.
	bomb := `trap "" TERM; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do setsid sh -c "$1" "$0" "$1" & done; echo up; sleep 1000`
	link := `trap "" TERM; sleep 0.01; [ -e ` + dir + ` ] && setsid sh -c "$1" "$0" "$1" &`
	env := withShim(t, 8)
	start(t, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	made := submitCommand(t, c, map[string]any{"command": []string{"/bin/sh", "-c", bomb, word, link}, "cwd": "/", "grace": "300ms"})
	running := awaitTask(t, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
	awaitOutput(t, c, running, "up\n")
	began := time.Now()
	cancel(t, c, made.ID)
	nothingLeft(t, c, made.ID, word)
	t.Logf("gone after %s; the grace is 300ms", time.Since(began).Round(time.Millisecond))
}

// TestProgramKillsItsHolder: that hides from nobody that it runs, nor from a cancel.
func TestProgramKillsItsHolder(t *testing.T) {
	t.Parallel()
	dir, word := shortDir(t), "patricide-"+unique()
	p := start(t, dir, "", withShim(t, 8)...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	made := submitCommand(t, c, map[string]any{"command": []string{"/bin/sh", "-c", `trap "" TERM; kill -9 $PPID; while :; do sleep 0.1; done`, word}, "cwd": "/", "grace": "300ms"})
	awaitTask(t, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseOrphaned })
	p.kill()
	start(t, dir, "", withShim(t, 8)...).up()
	adopted(t, dir, 1)
	cancel(t, c, made.ID)
	nothingLeft(t, c, made.ID, word)
}
