//go:build unix

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/daemon/logfile/watch"
	"durable/daemon/shim"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// Programs under the real durable-shim.

var serial atomic.Int64

// newReal prepares a task that runs under the real holder. It goes on like a stage whose program no test plays.
func newReal(t *testing.T, params map[string]any) *stage {
	t.Helper()
	program, err := holderProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if params["cwd"] == nil {
		params["cwd"] = dir
	}
	watcher := watch.New(nil)
	k := command.New(command.Options{
		Launcher: shim.Launcher{Program: program}, Watch: watcher, Environment: environment(os.Environ()), Tools: filepath.Dir(program),
	})
	plan, err := k.Prepare(t.Context(), spec(t, params))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, kind: k, host: jobtest.New(t)}
	s.host.SetSecrets(plan.Secrets)
	id := task.ID(fmt.Sprintf("command-%d-%d", os.Getpid(), serial.Add(1)))
	s.task = task.Task{ID: id, RootID: id, Number: 42, Attempt: 1, Kind: command.Name, Params: plan.Params}
	s.dir, _ = s.host.AttemptDir()
	work, _ := s.host.WorkDir()
	s.work = filepath.Join(work, "checkpoint")
	t.Cleanup(watcher.Close)
	t.Cleanup(func() { // nothing of a test outlives it
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(job.ErrCancelled)
		s.host.SetAdopted(true)
		_, _ = s.run(ctx)
		await(t, "the holder to write no more", func() bool { // it lives on for an instant when the end is known
			lock, err := protocol.TryLock(s.dir)
			if err == nil {
				_ = lock.Close()
			}
			return !errors.Is(err, protocol.ErrLocked)
		})
	})
	return s
}

// shell are the parameters of a line for the shell.
func shell(line string) map[string]any {
	return map[string]any{"command": []string{"/bin/sh", "-c", line}, "grace": "300ms"}
}

func (s *stage) output(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

func TestRealEndings(t *testing.T) {
	tests := []struct {
		name, line string
		outcome    task.Outcome // empty: succeeded
		want       string
		lastLine   string
	}{
		{"success", "echo out; echo err >&2", "", "", ""},
		{"exit 7", "echo no such thing >&2; exit 7", task.OutcomeFailed, "exit status 7", "no such thing"},
		{"SIGSEGV", "ulimit -c 0; kill -SEGV $$", task.OutcomeSignaled, "signal: segmentation fault", ""},
		{"SIGTERM", "kill -TERM $$", task.OutcomeSignaled, "signal: terminated", ""},
		{"closes its output", "exec >&- 2>&-; exit 3", task.OutcomeFailed, "exit status 3", ""},
		{"half a line", "printf 'half a line' >&2; exit 1", task.OutcomeFailed, "exit status 1", "half a line"},
		{"binary output", "head -c 100000 /dev/urandom; exit 1", task.OutcomeFailed, "exit status 1", ""},
		{"forks and exits", "sleep 300 & exit 4", task.OutcomeFailed, "exit status 4", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newReal(t, shell(tt.line))
			got, err := s.run(t.Context())
			if tt.outcome == "" {
				if err != nil || got == nil {
					t.Fatalf("%v, %v", got, err)
				}
				return
			}
			if err == nil || job.OutcomeOf(err) != tt.outcome || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("%v, %v; want %s, %q", job.OutcomeOf(err), err, tt.outcome, tt.want)
			}
			if last, _ := task.AsError(err).Details["last_line"].(string); last != tt.lastLine {
				t.Errorf("last line %q, want %q", last, tt.lastLine)
			}
		})
	}
}

func TestRealEnvironment(t *testing.T) {
	p := shell(`echo "$KEY $DURABLE_TASK_ID $DURABLE_TASK_NUMBER $DURABLE_ATTEMPT"; cat; echo 40/100 half >>"$DURABLE_PROGRESS"
echo x >"$DURABLE_CHECKPOINT_DIR/x"; echo y >"$DURABLE_ARTIFACTS_DIR/y"`)
	p["env"] = map[string]string{"KEY": "value"}
	p["stdin"] = "open"
	s := newReal(t, p)
	done := make(chan error, 1)
	go func() {
		_, err := s.run(t.Context())
		done <- err
	}()
	await(t, "the first line", func() bool { return strings.Contains(s.output("stdout"), "value") })
	if _, err := s.kind.Input(t.Context(), s.dir, task.StdinRequest{Data: strings.NewReader("some input\n"), Close: true}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("value %s 42 1\nsome input\n", s.task.ID); s.output("stdout") != want {
		t.Errorf("%q, want %q", s.output("stdout"), want)
	}
	reports := s.host.Reports()
	if len(reports) == 0 || reports[len(reports)-1].Done != 40 || reports[len(reports)-1].Message != "half" {
		t.Errorf("reports %v", reports)
	}
	if _, err := os.Stat(filepath.Join(s.work, "x")); err != nil {
		t.Error(err)
	}
	if dir, _ := s.host.ArtifactsDir(); dir == "" {
		t.Error("no artifacts folder")
	} else if _, err := os.Stat(filepath.Join(dir, "y")); err != nil {
		t.Error(err)
	}
}

// TestRealDetach: the program outlives Run, and the next one finds it, or its end.
func TestRealDetach(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := newReal(t, shell(`echo up; while [ ! -e go ]; do sleep 0.05; done; echo ran >>witness; exit 9`))
		ctx, cancel := context.WithCancelCause(t.Context())
		result := s.begin(ctx)
		cancel(job.ErrStop)
		if err := <-result; !errors.Is(err, job.ErrDetached) {
			t.Fatal(err)
		}
		goOn := func() {
			if err := os.WriteFile(filepath.Join(cwdOf(t, s), "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.host.SetAdopted(true)
		if late {
			goOn()
			await(t, "the end", func() bool { return s.output(protocol.FileExit) != "" })
		}
		done := make(chan error, 1)
		go func() {
			_, err := s.run(t.Context())
			done <- err
		}()
		if !late {
			await(t, "the adoption", func() bool { return len(s.host.Marks()) == 2 })
			goOn()
		}
		if err := <-done; err == nil || err.Error() != "exit status 9" {
			t.Errorf("late %v: %v", late, err)
		}
		witness, _ := os.ReadFile(filepath.Join(cwdOf(t, s), "witness"))
		if string(witness) != "ran\n" {
			t.Errorf("ran %q", witness)
		}
	}
}

// TestRealStop: cancel ends the tree, also one that does not want to.
func TestRealStop(t *testing.T) {
	s := newReal(t, shell(`trap '' TERM; (trap '' TERM; echo $$ >pid; exec sleep 300) & echo up; wait; sleep 300`))
	ctx, cancel := context.WithCancelCause(t.Context())
	result := s.begin(ctx)
	await(t, "the program", func() bool { return strings.Contains(s.output("stdout"), "up") })
	from := time.Now()
	cancel(job.ErrCancelled)
	if err := <-result; !errors.Is(err, job.ErrCancelled) {
		t.Fatal(err)
	}
	if took := time.Since(from); took < 300*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

// TestRealOrphan: the holder is killed, the program goes on: how it ends is never taken for success.
func TestRealOrphan(t *testing.T) {
	s := newReal(t, shell(`echo up; while [ ! -e go ]; do sleep 0.05; done`))
	result := s.begin(t.Context())
	await(t, "the program", func() bool { return strings.Contains(s.output("stdout"), "up") })
	started, err := protocol.ParseStarted([]byte(s.output(protocol.FileStarted)))
	if err != nil || started.Holder.PID <= 1 {
		t.Fatal(err)
	}
	if err := syscall.Kill(started.Holder.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the news", func() bool { m := s.host.Marks(); return len(m) == 2 && m[1] == task.TriggerOrphan })
	if err := os.WriteFile(filepath.Join(cwdOf(t, s), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-result; job.OutcomeOf(err) != task.OutcomeLost {
		t.Errorf("%v, %v", job.OutcomeOf(err), err)
	}
}

// cwdOf returns the folder that the program of s runs in.
func cwdOf(t *testing.T, s *stage) string {
	t.Helper()
	var p struct{ Cwd string }
	if err := json.Unmarshal(s.task.Params, &p); err != nil {
		t.Fatal(err)
	}
	return p.Cwd
}

// TestRealCannotRun: what looked like a program, and is none.
func TestRealCannotRun(t *testing.T) {
	dir := t.TempDir()
	junk := script(t, dir, "junk", "\x7fELF is not all of it", 0o755)
	s := newReal(t, map[string]any{"command": []string{junk}})
	_, err := s.run(t.Context())
	if job.OutcomeOf(err) != task.OutcomeFailed || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("%v", err)
	}
}
