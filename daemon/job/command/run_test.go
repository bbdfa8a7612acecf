//go:build unix

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/daemon/shim"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

var began = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func TestSuccess(t *testing.T) {
	p := ended(shim.Exit{Started: began, Ended: began.Add(3200 * time.Millisecond), UserTime: time.Second, MaxRSS: 4096}, nil)
	s := newStage(t, p, map[string]any{"env": map[string]string{"KEY": "v"}, "nice": 5, "grace": "3s", "keep_children": true, "stdin": "open"})
	s.write("stdout", " 45%|████▌     | 450/1000 [00:10<00:12, 43.10it/s]\r100%|██████████| 1000/1000 [00:10<00:00, 43.10it/s]")
	got, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got)
	if want := `{"exit_code":0,"duration":"3.2s","user_time":"1s","system_time":"0s","max_rss_bytes":4096}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	if !slices.Equal(s.host.Marks(), []task.Trigger{task.TriggerRun}) {
		t.Errorf("marks %v", s.host.Marks())
	}
	reports := s.host.Reports()
	if len(reports) == 0 || reports[len(reports)-1].Done != 1000 {
		t.Errorf("reports %v", reports)
	}
	spec := p.spec
	for _, want := range []string{"DURABLE_TASK_ID=0190", "DURABLE_TASK_NUMBER=42", "DURABLE_ATTEMPT=3", "KEY=v",
		"DURABLE_PROGRESS=" + filepath.Join(s.dir, "progress"), "DURABLE_CHECKPOINT_DIR=" + s.work} {
		if !slices.Contains(spec.Env, want) {
			t.Errorf("no %s in %v", want, spec.Env)
		}
	}
	if spec.Nice != 5 || spec.Grace != 3*time.Second || !spec.KeepChildren || spec.Stdin != shim.StdinOpen ||
		spec.LogLimit != command.DefaultLogLimit || filepath.Base(spec.Path) != "prog" || !slices.Equal(spec.Args, []string{"prog", "arg"}) || spec.Nonce == "" {
		t.Errorf("%+v", spec)
	}
	if info, err := os.Stat(s.work); err != nil || !info.IsDir() {
		t.Errorf("no checkpoint folder: %v", err)
	}
}

func TestEndings(t *testing.T) {
	exit := shim.Exit{Started: began, Ended: began.Add(time.Second)}
	with := func(change func(*shim.Exit)) shim.Exit { e := exit; change(&e); return e }
	tests := []struct {
		name    string
		program *program
		adopted bool
		outcome task.Outcome
		want    string // the message
		details map[string]any
		marks   []task.Trigger
	}{
		{name: "exit 7", program: ended(with(func(e *shim.Exit) { e.Code = 7 }), nil), outcome: task.OutcomeFailed,
			want: "exit status 7", details: map[string]any{"exit_code": 7, "last_line": "error: password=*** *** is wrong"}, marks: []task.Trigger{task.TriggerRun}},
		{name: "signal", program: ended(with(func(e *shim.Exit) { e.Signal, e.CoreDumped = "SIGSEGV", true }), nil), outcome: task.OutcomeSignaled,
			want: "signal: segmentation fault (core dumped)", details: map[string]any{"signal": "SIGSEGV"}, marks: []task.Trigger{task.TriggerRun}},
		{name: "not executed", program: &program{startErr: task.Errorf(task.Unavailable, "exec format error: %w", shim.ErrNotExecuted)}, outcome: task.OutcomeFailed,
			want: "exec format error: the program was not run"},
		{name: "exec error in exit", program: ended(with(func(e *shim.Exit) { e.Error = "no such file" }), nil), outcome: task.OutcomeFailed,
			want: "the program was not run: no such file", marks: []task.Trigger{task.TriggerRun}},
		{name: "lost", program: ended(shim.Exit{}, shim.ErrLost), outcome: task.OutcomeLost, want: shim.ErrLost.Error(), marks: []task.Trigger{task.TriggerRun}},
		{name: "adopted and ended", program: verdict(shim.Ended, with(func(e *shim.Exit) { e.Code = 9 }), nil), adopted: true, outcome: task.OutcomeFailed, want: "exit status 9"},
		{name: "adopted and lost", program: verdict(shim.Lost, shim.Exit{}, shim.ErrLost), adopted: true, outcome: task.OutcomeLost, want: shim.ErrLost.Error()},
		{name: "adopted orphan", program: verdict(shim.Orphaned, shim.Exit{}, shim.ErrLost), adopted: true, outcome: task.OutcomeLost, want: shim.ErrLost.Error(), marks: []task.Trigger{task.TriggerOrphan}},
		{name: "other boot", program: verdict(shim.Interrupted, shim.Exit{}, shim.ErrInterrupted), adopted: true, outcome: task.OutcomeInterrupted, want: shim.ErrInterrupted.Error()},
		{name: "never started", program: verdict(shim.NotStarted, shim.Exit{}, shim.ErrNotExecuted), adopted: true, outcome: task.OutcomeInterrupted, want: "the daemon went down before the program was started"},
		{name: "no answer to the start", program: &program{startErr: errors.New("broken pipe"), verdict: shim.NotStarted}, outcome: task.OutcomeInterrupted, want: "the daemon went down before the program was started"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.program, map[string]any{"env": map[string]string{"PW": "hunter22"}})
			s.host.SetAdopted(tt.adopted)
			s.write("stderr", "warming up\nerror: password=swordfish hunter22 is wrong\n\n")
			got, err := s.run(t.Context())
			if err == nil || got != nil || job.OutcomeOf(err) != tt.outcome || err.Error() != tt.want || job.IsPermanent(err) {
				t.Fatalf("%v, %q, %v; want %s, %q", got, job.OutcomeOf(err), err, tt.outcome, tt.want)
			}
			details := task.AsError(err).Details
			for k, want := range tt.details {
				if details[k] != want {
					t.Errorf("details %v, want %s %v", details, k, want)
				}
			}
			if !slices.Equal(s.host.Marks(), tt.marks) {
				t.Errorf("marks %v, want %v", s.host.Marks(), tt.marks)
			}
			if tt.adopted && tt.program.starts > 0 {
				t.Error("started again")
			}
		})
	}
}

// TestShutdownIsNoSignal: who was ended by the machine's shutdown is found with a signal, in another boot.
func TestShutdownIsNoSignal(t *testing.T) {
	for boot, want := range map[string]task.Outcome{"another": task.OutcomeInterrupted, shim.BootID(): task.OutcomeSignaled} {
		s := newStage(t, verdict(shim.Ended, shim.Exit{Signal: "SIGTERM", Started: began, Ended: began}, nil), nil)
		s.host.SetAdopted(true)
		if boot == "" {
			boot = "unknown"
			want = task.OutcomeInterrupted
		}
		started := protocol.Started{Version: protocol.Version, Boot: boot, Holder: protocol.Process{PID: 77, Start: "1"}, Time: began}
		s.write(protocol.FileStarted, string(started.Append()))
		if _, err := s.run(t.Context()); job.OutcomeOf(err) != want {
			t.Errorf("boot %s: %v, %v; want %s", boot, job.OutcomeOf(err), err, want)
		}
	}
}

func TestDetached(t *testing.T) {
	p := newProgram()
	s := newStage(t, p, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := s.begin(ctx)
	cancel(job.ErrStop)
	if err := <-result; !errors.Is(err, job.ErrDetached) || p.stops > 0 {
		t.Fatalf("%v, %d stops", err, p.stops)
	}
	s.host.SetAdopted(true)
	p.verdict = shim.Running
	result = s.begin(t.Context())
	close(p.end)
	if err := <-result; err != nil || p.starts != 1 || p.nonce != p.spec.Nonce {
		t.Errorf("%v, %d starts, nonce %q of %q", err, p.starts, p.nonce, p.spec.Nonce)
	}
}

func TestStopped(t *testing.T) {
	for _, cause := range []error{job.ErrCancelled, job.ErrTimeout} {
		p := newProgram()
		p.onStop = func() { close(p.end) } // and leaves with 0: that is no success
		s := newStage(t, p, map[string]any{"grace": "3s"})
		ctx, cancel := context.WithCancelCause(t.Context())
		result := s.begin(ctx)
		cancel(cause)
		if err := <-result; !errors.Is(err, cause) || p.stops != 2 || p.grace != 3*time.Second {
			t.Errorf("%v: %v, %d stops, grace %s", cause, err, p.stops, p.grace)
		}
	}
}

func TestStopBeforeTheStart(t *testing.T) {
	p := &program{startErr: task.Errorf(task.Unavailable, "start: %w", shim.ErrNotExecuted)}
	s := newStage(t, p, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(job.ErrStop)
	if _, err := s.run(ctx); !errors.Is(err, job.ErrStop) {
		t.Error(err)
	}
}

// TestUnknownIsAskedAgain: an attempt of which nothing can be known has not ended.
func TestUnknownIsAskedAgain(t *testing.T) {
	p := verdict(shim.Ended, shim.Exit{Started: began, Ended: began}, nil)
	p.unknown = 1
	s := newStage(t, p, nil)
	s.host.SetAdopted(true)
	if _, err := s.run(t.Context()); err != nil || !strings.Contains(s.host.Output(), "the disk does not answer") {
		t.Errorf("%v; %s", err, s.host.Output())
	}
	p.unknown = 1000
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(job.ErrStop)
	if _, err := s.run(ctx); !errors.Is(err, job.ErrDetached) {
		t.Error(err)
	}
}

// TestUnseenIsWaitedForAgain: an error of the daemon's own is no end of the program, whether it is to end or not.
func TestUnseenIsWaitedForAgain(t *testing.T) {
	for name, cause := range map[string]error{"left alone": nil, "cancelled": job.ErrCancelled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProgram()
			p.exit, p.blind = shim.Exit{Started: began, Ended: began}, 2
			p.onStop = func() {}
			s := newStage(t, p, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			result := s.begin(ctx)
			if cause != nil {
				cancel(cause)
			}
			await(t, "the second look", func() bool { return strings.Count(s.host.Output(), "too many open files") == 2 })
			select {
			case err := <-result:
				t.Fatalf("it has ended: %v", err)
			default:
			}
			close(p.end)
			if err := <-result; !errors.Is(err, cause) {
				t.Errorf("%v, want %v", err, cause)
			}
		})
	}
}

// TestLeaveWhileItStops: the daemon leaves, and what it has told to end has not ended.
func TestLeaveWhileItStops(t *testing.T) {
	p := newProgram()
	stopped := make(chan struct{})
	p.onStop = func() { close(stopped) }
	s := newStage(t, p, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := s.begin(ctx)
	cancel(job.ErrCancelled)
	<-stopped
	s.host.Leave()
	if err := <-result; !errors.Is(err, job.ErrDetached) {
		t.Errorf("%v, want %v", err, job.ErrDetached)
	}
}

// TestSignalledAsTheDaemonLeaves: the machine goes down, perhaps; who comes next knows.
func TestSignalledAsTheDaemonLeaves(t *testing.T) {
	for signal, want := range map[string]error{"SIGTERM": job.ErrDetached, "": nil} {
		p := newProgram()
		p.exit = shim.Exit{Signal: signal, Started: began, Ended: began}
		s := newStage(t, p, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		p.deaf = true // it is seen to end after all
		result := s.begin(ctx)
		cancel(job.ErrStop)
		close(p.end)
		if err := <-result; !errors.Is(err, want) {
			t.Errorf("signal %q: %v, want %v", signal, err, want)
		}
	}
}

// TestStoppedUnderAnotherDaemon: what was told to end has not ended by itself: its time was up, or the daemon went with all programs.
func TestStoppedUnderAnotherDaemon(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout, ran time.Duration
		want         task.Outcome
	}{
		"its time was up": {time.Second, time.Second, task.OutcomeTimedOut},
		"before its time": {time.Minute, time.Second, task.OutcomeInterrupted},
		"no limit":        {0, time.Hour, task.OutcomeInterrupted},
	} {
		s := newStage(t, verdict(shim.Ended, shim.Exit{Stopped: true, Started: began, Ended: began.Add(tt.ran)}, nil), nil)
		s.host.SetAdopted(true)
		s.task.StartedAt, s.task.Timeout = &began, task.Duration(tt.timeout)
		if _, err := s.run(t.Context()); job.OutcomeOf(err) != tt.want {
			t.Errorf("%s: %v, %v, want %s", name, job.OutcomeOf(err), err, tt.want)
		}
	}
}

// TestFolderGone: of a program that was seen to run nobody says that it was not started.
func TestFolderGone(t *testing.T) {
	for phase, want := range map[task.Phase]task.Outcome{
		task.PhaseStarting: task.OutcomeInterrupted, task.PhaseRunning: task.OutcomeLost, task.PhaseOrphaned: task.OutcomeLost,
	} {
		s := newStage(t, verdict(shim.NotStarted, shim.Exit{}, shim.ErrNotExecuted), nil)
		s.host.SetAdopted(true)
		s.task.Phase = phase
		if _, err := s.run(t.Context()); job.OutcomeOf(err) != want {
			t.Errorf("%s: %v, %v", phase, job.OutcomeOf(err), err)
		}
	}
}

// TestAdoptedWithoutItsOrder: what runs is watched also when nothing is left to read of what was to run, or of its folders.
func TestAdoptedWithoutItsOrder(t *testing.T) {
	p := verdict(shim.Running, shim.Exit{Started: began, Ended: began}, nil)
	s := newStage(t, p, nil)
	s.host.SetAdopted(true)
	s.host.SetSecrets([]byte("{"))
	if err := os.RemoveAll(filepath.Dir(s.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(s.dir), nil, 0o600); err != nil { // no folder can be made
		t.Fatal(err)
	}
	if _, err := s.run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCheckpointFolder: what a program saves is a checkpoint, and only that.
func TestCheckpointFolder(t *testing.T) {
	s := newStage(t, verdict(shim.Interrupted, shim.Exit{}, shim.ErrInterrupted), nil)
	s.host.SetAdopted(true)
	started := protocol.Started{Version: protocol.Version, Boot: "b", Holder: protocol.Process{PID: 77, Start: "1"}, Time: time.Now().Add(-time.Hour)}
	s.write(protocol.FileStarted, string(started.Append()))
	attempt := func() int {
		_, _ = s.run(t.Context())
		return s.host.Checkpoints()
	}
	if n := attempt(); n != 0 {
		t.Fatalf("%d checkpoints of an empty folder", n)
	}
	file := filepath.Join(s.work, "epoch-3")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := attempt(); n != 1 {
		t.Fatalf("%d checkpoints, want 1", n)
	}
	if n := attempt(); n != 1 {
		t.Fatalf("%d checkpoints though nothing changed", n)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	if n := attempt(); n != 2 {
		t.Fatalf("%d checkpoints, want 2", n)
	}
}

// watcher is one whose word the test gives.
type watcher struct {
	changed chan struct{}
	open    atomic.Int64
}

func (w *watcher) Watch(string) (<-chan struct{}, func()) {
	w.open.Add(1)
	return w.changed, func() { w.open.Add(-1) }
}

// TestFollow: reports come while the program runs, at most ten a second, and the last one always.
func TestFollow(t *testing.T) {
	p := newProgram()
	s := newStage(t, p, nil)
	w := &watcher{changed: make(chan struct{}, 1)}
	kind := command.New(command.Options{Watch: w, Environment: environment(nil)})
	kind.SetHolder(p)
	s.kind = kind
	s.write("stdout", "0/1000 records\n")
	result := s.begin(t.Context())
	out, err := os.OpenFile(filepath.Join(s.dir, "stdout"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	from := time.Now()
	for i := 1; time.Since(from) < 600*time.Millisecond || len(s.host.Reports()) < 2; i++ {
		if time.Since(from) > time.Minute {
			t.Fatal("nothing is reported")
		}
		_, _ = out.WriteString(strings.Repeat(" ", i%7) + "\n" + itoa(i) + "/100000 records\n")
		select {
		case w.changed <- struct{}{}:
		default:
		}
		time.Sleep(time.Millisecond) // what a program does between two lines
	}
	n := len(s.host.Reports())
	took := time.Since(from) // not less than what the reports had
	if most := int(took/command.FollowEvery) + 2; n > most {
		t.Errorf("%d reports in %s, want at most %d", n, took, most)
	}
	_, _ = out.WriteString("99999/100000 records\n100000/100000 rec")
	close(p.end)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	reports := s.host.Reports()
	if last := reports[len(reports)-1]; last.Done != 100000 {
		t.Errorf("last report %+v", last)
	}
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d watches left open", n)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// TestFlood: of what comes too fast only the end is read.
func TestFlood(t *testing.T) {
	p := newProgram()
	s := newStage(t, p, nil)
	result := s.begin(t.Context())
	f, err := os.Create(filepath.Join(s.dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// A TiB of hole: reading it would take far longer than the test may.
	if err := f.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("\n1/9 x\n2/9 x\n3/9 x\n"), 1<<40); err != nil {
		t.Fatal(err)
	}
	close(p.end)
	select {
	case err := <-result:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it reads all of it")
	}
	reports := s.host.Reports()
	if len(reports) == 0 || reports[len(reports)-1].Done != 3 {
		t.Errorf("%v", reports)
	}
}

func TestWithoutSecrets(t *testing.T) {
	s := newStage(t, ended(shim.Exit{Started: began, Ended: began}, nil), nil)
	s.host.SetSecrets(nil) // from a backup
	if _, err := s.run(t.Context()); err != nil {
		t.Errorf("of a task that needs none: %v", err)
	}
	s = newStage(t, ended(shim.Exit{}, nil), map[string]any{"env": map[string]string{"KEY": "v"}})
	s.host.SetSecrets(nil)
	if _, err := s.run(t.Context()); !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" || !job.IsPermanent(err) {
		t.Errorf("of one that does: %v", err)
	}
}
