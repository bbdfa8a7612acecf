package menu_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"durable/cmd/durablectl/internal/menu"
	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a service whose tasks move by the clock of the bubble that they are in.
type fake struct {
	task.UnimplementedService
	tasks []task.Task
	specs []string
	// deaf tasks do not end by a cancel.
	deaf bool
}

func (f *fake) Info(context.Context) (task.Info, error) { return task.Info{}, nil }

func (f *fake) Submit(_ context.Context, s task.Spec, _ task.Key) (task.Task, error) {
	if strings.Contains(string(s.Params), "/there") {
		return task.Task{}, task.Errorf(task.FailedPrecondition, "/there exists").WithHint("mode=replace replaces it")
	}
	f.specs = append(f.specs, s.Kind+" "+string(s.Params))
	t := task.Task{
		ID: task.ID(fmt.Sprintf("019a0000-0000-7000-8000-0000000000%02x", len(f.tasks)+1)), Number: uint64(len(f.tasks) + 1), Kind: s.Kind,
		Status: task.StatusPending, Phase: task.PhaseQueued, CreatedAt: time.Now(),
	}
	f.tasks = append(f.tasks, t)
	return t, nil
}

// Get has a migration move 100 records a second, as the tutorial's.
func (f *fake) Get(_ context.Context, ref task.Ref) (task.Task, error) {
	i := slices.IndexFunc(f.tasks, func(t task.Task) bool { return t.ID.Ref() == ref })
	if i < 0 {
		return task.Task{}, task.Errorf(task.NotFound, "no such task")
	}
	t := &f.tasks[i]
	if t.Status.Terminal() {
		return *t, nil
	}
	total := int64(1000)
	if t.Kind == "data_migration" {
		total = 100_000
	}
	done := min(total, 100*int64(time.Since(t.CreatedAt)/time.Second))
	t.Status, t.Phase = task.StatusRunning, task.PhaseRunning
	t.Progress = task.Progress{Done: done, Total: task.Total(total), Message: fmt.Sprintf("Migrated %d/%d records", done, total)}
	if done == total {
		t.Status, t.Phase = task.StatusCompleted, task.PhaseNone
		t.Result = json.RawMessage(`{"migrated_records":1000,"source_path":"/a","split":{"train":800,"test":{"seen":200}},"skipped":[1,2],"success":true,"x":null}`)
	}
	return *t, nil
}

func (f *fake) List(ctx context.Context, q task.ListQuery) (task.TaskList, error) {
	var l task.TaskList
	for _, t := range slices.Backward(f.tasks) {
		now, err := f.Get(ctx, t.ID.Ref())
		if err != nil {
			return l, err
		}
		if slices.Contains(q.Status, now.Status) {
			l.Tasks = append(l.Tasks, now)
		}
	}
	return l, nil
}

func (f *fake) Stats(context.Context) (task.Stats, error) {
	return task.Stats{Total: 7, Active: 2, Counts: map[task.Status]int{task.StatusRunning: 2, task.StatusCompleted: 3, task.StatusFailed: 1, task.StatusCancelled: 1}}, nil
}

func (f *fake) Cancel(ctx context.Context, ref task.Ref, _ task.CancelRequest, _ task.Key) (task.Task, error) {
	t, err := f.Get(ctx, ref)
	if err == nil && !f.deaf {
		i := slices.IndexFunc(f.tasks, func(t task.Task) bool { return t.ID.Ref() == ref })
		f.tasks[i].Status, f.tasks[i].Phase = task.StatusCancelled, task.PhaseNone
	}
	return t, err
}

func (f *fake) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	if f.deaf {
		time.Sleep(timeout)
	}
	return f.Get(ctx, ref)
}

// screen is what was written.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestTranscript is the tutorial's story and what it leaves out. What is typed stands in the transcript after >.
func TestTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc, out := &fake{}, &screen{}
		in, typed := io.Pipe()
		done := make(chan error, 1)
		place := func(_, path string) (string, error) { return path, nil }
		go func() {
			done <- menu.Run(t.Context(), menu.Options{In: in, Out: out, Svc: svc, Place: place})
		}()
		send := func(lines ...string) {
			for _, line := range lines {
				synctest.Wait()
				fmt.Fprintf(out, ">%s\n", line)
				if _, err := io.WriteString(typed, line+"\n"); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
		}
		send("5", "6", "9", "")
		send("1", "/data/source", "/data/destination", "100000", "5")
		time.Sleep(10 * time.Second)
		send("6", "1")
		time.Sleep(15 * time.Second)
		send("6", "", "6", "2", "6", "x", "7", "1", "7", "1", "5")
		send("1", "/a", "/there", "", "1", "", "2", "", "", "2", "10", "no", "3", "", "", "3", "m", "5")
		time.Sleep(20 * time.Second)
		send("6", "1", "4")
		svc.deaf = true
		send("1", "/data/source", "/data/destination", "", "7", "1")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		typed.Close() // an end of input
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		want := []string{
			`data_migration {"destination_path":"/data/destination","record_count":100000,"source_path":"/data/source"}`,
			`batch_processing {"batch_size":30,"processing_delay":0.3,"total_items":300}`,
			`ml_training {"dataset_size":5000,"epochs":25,"model_name":"demo-model"}`,
			`ml_training {"dataset_size":5000,"epochs":5,"model_name":"m"}`,
			`data_migration {"destination_path":"/data/destination","record_count":500,"source_path":"/data/source"}`,
		}
		if !slices.Equal(svc.specs, want) {
			t.Errorf("submitted:\n%s", strings.Join(svc.specs, "\n"))
		}
		golden(t, out.String())
	})
}

func golden(t *testing.T, got string) {
	t.Helper()
	const path = "testdata/transcript.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the transcript differs from %s (-update writes it):\n%s", path, got)
	}
}

// TestInterrupt: Ctrl-C is heard while nobody types, and while a task is watched.
func TestInterrupt(t *testing.T) {
	for name, typed := range map[string]string{"at the prompt": "", "while a task is watched": "6\n1\n"} {
		synctest.Test(t, func(t *testing.T) {
			svc, out := &fake{}, &screen{}
			if _, err := svc.Submit(t.Context(), task.Spec{Kind: "data_migration"}, ""); err != nil {
				t.Fatal(err)
			}
			in, keys := io.Pipe()
			defer keys.Close()
			ctx, interrupt := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- menu.Run(ctx, menu.Options{In: in, Out: out, Svc: svc}) }()
			if _, err := io.WriteString(keys, typed); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			interrupt()
			if err := <-done; !errors.Is(err, menu.ErrInterrupted) {
				t.Errorf("%s: %v", name, err)
			}
			if !strings.HasSuffix(out.String(), "Bye! The tasks go on; durablectl list\n") || svc.tasks[0].Status.Terminal() {
				t.Errorf("%s: %s, %q", name, svc.tasks[0].Status, out.String())
			}
		})
	}
}

// brokenPipe takes so many writes.
type brokenPipe struct{ left int }

func (p *brokenPipe) Write(b []byte) (int, error) {
	if p.left--; p.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// TestOutputGone: the menu does not talk to nobody.
func TestOutputGone(t *testing.T) {
	in, keys := io.Pipe()
	defer keys.Close()
	if err := menu.Run(t.Context(), menu.Options{In: in, Out: &brokenPipe{2}, Svc: &fake{}}); err == nil {
		// At the first prompt nothing is typed: Run must not wait for it.
		t.Error("no error")
	}
}
