package migration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job"
	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

var errCrash = errors.New("crash")

// crashAt makes the attempts of l die when they come to a point for the nth time; "": to any point.
func crashAt(l *line, point string, n int) {
	seen := 0
	l.kind.commitEvery = 0
	l.kind.hook = func(p string) error {
		if p == point || point == "" {
			if seen++; seen == n {
				return fmt.Errorf("%w at %s, no. %d", errCrash, p, n)
			}
		}
		return nil
	}
}

// crashCases are the ways in which a destination is written. Each has a source with n records, and what
// the destination is to hold in the end.
var crashCases = []struct {
	name, source, destination, mode, old string
}{
	{"create a table", "csv", "db", "create", ""},
	{"replace a table", "jsonl", "db", "replace", "create table data (old); insert into data values (1)"},
	{"append to a table", "csv", "db", "append", "create table data (id INTEGER, name TEXT); insert into data values (-1, 'old')"},
	{"append to a key", "db", "db", "append", "create table data (id INTEGER PRIMARY KEY, name TEXT); insert into data values (-1, 'old')"},
	{"append to a log", "csv", "db", "append", "pragma journal_mode=wal; create table data (id INTEGER, name TEXT); insert into data values (-1, 'old')"},
	{"create CSV", "db", "csv", "create", ""},
	{"replace CSV", "jsonl", "csv", "replace", "old\n"},
	{"append to CSV", "csv", "csv", "append", "id,name\n-1,old\n"},
	{"create JSON Lines", "csv", "jsonl", "create", ""},
	{"append to JSON Lines", "db", "jsonl", "append", "{\"id\":-1,\"name\":\"old\"}\n"},
}

const crashRecords = 23

// crashSetup makes source and destination in dir and returns the parameters, and the content that the
// destination is to have.
func crashSetup(t *testing.T, dir string, source, destination, mode, old string) (map[string]any, string) {
	t.Helper()
	src, dst := filepath.Join(dir, "data."+source), filepath.Join(dir, "out."+destination)
	var text strings.Builder
	statements := []string{"create table data (id INTEGER, name TEXT)"}
	want := map[string]string{"db": "id INTEGER, name TEXT\n", "csv": "id,name\n", "jsonl": ""}[destination]
	row := func(id int, name string) {
		switch destination {
		case "db":
			want += fmt.Sprintf("%d|'%s'\n", id, name)
		case "csv":
			want += fmt.Sprintf("%d,%s\n", id, name)
		default:
			want += fmt.Sprintf("{\"id\":%d,\"name\":\"%s\"}\n", id, name)
		}
	}
	if mode == "append" {
		row(-1, "old")
	}
	if source == "csv" {
		text.WriteString("id,name\n")
	}
	for i := range crashRecords {
		name := fmt.Sprintf("n%03d", i)
		if source == "csv" {
			fmt.Fprintf(&text, "%d,%s\n", i, name)
		} else {
			fmt.Fprintf(&text, "{\"id\":%d,\"name\":%q}\n", i, name)
		}
		statements = append(statements, fmt.Sprintf("insert into data values (%d, '%s')", i, name))
		row(i, name)
	}
	if source == "db" {
		sqlExec(t, src, statements...)
	} else if err := os.WriteFile(src, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if old != "" && destination == "db" {
		sqlExec(t, dst, strings.Split(old, ";")...)
	} else if old != "" {
		if err := os.WriteFile(dst, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := paths(src, dst, "mode", mode, "batch_size", 4)
	if destination == "db" {
		p["destination_table"] = "data"
	}
	return p, want
}

// check holds the end of a migration against what is wanted.
func (l *line) check(t *testing.T, dst, want string) {
	t.Helper()
	res := l.finish()
	if diff := cmp.Diff(want, content(t, dst)); diff != "" {
		t.Fatalf("content (-want +got):\n%s\n%s", diff, l.host.Output())
	}
	if res.Migrated != crashRecords || !res.Verified {
		t.Fatalf("result: %+v", res)
	}
	left, err := filepath.Glob(dst + "?*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if !strings.HasSuffix(name, "-shm") && !strings.HasSuffix(name, "-wal") {
			t.Fatalf("left beside the destination: %s", name)
		}
	}
}

// TestCrashAnywhere kills the attempt at each point that it comes to, one after the other, and lets the
// next attempt finish.
func TestCrashAnywhere(t *testing.T) {
	for _, tt := range crashCases {
		t.Run(tt.name, func(t *testing.T) {
			points := 0
			for n := 1; ; n++ {
				params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
				l := prepare(t, params)
				crashAt(l, "", n)
				_, err := l.attempt(t.Context())
				if err == nil {
					break
				}
				if !errors.Is(err, errCrash) {
					t.Fatalf("point %d: %v", n, err)
				}
				points++
				l.check(t, params["destination_path"].(string), want)
			}
			if points < 15 {
				t.Errorf("only %d points", points)
			}
		})
	}
}

// TestCrashEverywhere kills attempt after attempt, each a little further on, also right after a
// checkpoint was kept.
func TestCrashEverywhere(t *testing.T) {
	for _, tt := range crashCases {
		t.Run(tt.name, func(t *testing.T) {
			params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
			l := prepare(t, params)
			l.host.After = func(n int, _ []byte) error {
				if n%2 == 0 {
					return errCrash
				}
				return nil
			}
			for n := 1; ; n++ {
				crashAt(l, "", 5+n%7)
				if _, err := l.attempt(t.Context()); err == nil {
					break
				} else if !errors.Is(err, errCrash) {
					t.Fatalf("attempt %d: %v", n, err)
				}
				if n > 100 {
					t.Fatal("no end")
				}
			}
			crashAt(l, "", 0)
			l.host.After = nil
			l.check(t, params["destination_path"].(string), want) // one more attempt after the end
		})
	}
}

// TestFenced: an attempt that was overtaken neither writes nor reports success.
func TestFenced(t *testing.T) {
	params, want := crashSetup(t, t.TempDir(), "csv", "db", "create", "")
	l := prepare(t, params)
	writes := 0
	old := *l
	old.kind = New()
	old.kind.commitEvery = 0
	old.kind.hook = func(point string) error {
		if point == "write" {
			if writes++; writes == 3 {
				l.task.Attempt = 1 // the engine believes that attempt 1 is gone
				l.check(t, params["destination_path"].(string), want)
			}
		}
		return nil
	}
	_, err := old.attempt(t.Context())
	if !errors.Is(err, job.ErrFenced) {
		t.Fatalf("error %v, want ErrFenced", err)
	}
	if diff := cmp.Diff(want, content(t, params["destination_path"].(string))); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// TestRetry: a retry is a new task of the same line; its attempts count from 1 and go on.
func TestRetry(t *testing.T) {
	for _, destination := range []string{"db", "csv"} {
		params, want := crashSetup(t, t.TempDir(), "csv", destination, "create", "")
		dst := params["destination_path"].(string)
		l := prepare(t, params)
		crashAt(l, "write", 3)
		l.task.Attempt = 4
		if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		l.task.Status = task.StatusFailed
		if err := l.kind.Clean(t.Context(), l.task); err != nil {
			t.Fatal(err)
		}
		late := l.task
		crashAt(l, "write", 2)
		l.task.ID, l.task.RetryOf, l.task.Attempt = "019a-2", "019a-1", 0
		if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if destination == "db" {
			if _, err := l.kind.Run(t.Context(), l.host.Context(late)); !errors.Is(err, job.ErrFenced) {
				t.Fatalf("an attempt of the task before: %v, want ErrFenced", err)
			}
		}
		crashAt(l, "", 0)
		l.check(t, dst, want)
		// A retry of what is complete proves it again and changes nothing.
		l.task.ID, l.task.Attempt = "019a-3", 0
		l.check(t, dst, want)
	}
}

// TestStop: Run returns soon after its context is done, with its cause, and its position is durable.
func TestStop(t *testing.T) {
	for _, tt := range crashCases {
		t.Run(tt.name, func(t *testing.T) {
			params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
			l := prepare(t, params)
			ctx, cancel := context.WithCancelCause(t.Context())
			writes := 0
			l.kind.hook = func(point string) error {
				if point == "write" {
					if writes++; writes == 2 {
						cancel(job.ErrStop)
					}
				}
				return nil
			}
			if _, err := l.attempt(ctx); !errors.Is(err, job.ErrStop) {
				t.Fatalf("error %v, want ErrStop", err)
			}
			var st state
			if found, err := l.host.Context(l.task).Load(&st); err != nil || !found || st.Done.Records < 8 {
				t.Fatalf("position: %+v, %v, %v", st, found, err)
			}
			if res := l.host.Reports(); res[len(res)-1].Done > st.Done.Records {
				t.Errorf("reported %+v, durable %d", res[len(res)-1], st.Done.Records)
			}
			l.kind.hook = New().hook
			l.check(t, params["destination_path"].(string), want)
		})
	}
}

func TestSourceChanged(t *testing.T) {
	for _, destination := range []string{"db", "csv"} {
		params, _ := crashSetup(t, t.TempDir(), "csv", destination, "create", "")
		l := prepare(t, params)
		crashAt(l, "write", 3)
		if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		src := params["source_path"].(string)
		if err := os.WriteFile(src, []byte(strings.Replace(read(t, src), "n001", "n00x", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		crashAt(l, "", 0)
		_, err := l.attempt(t.Context())
		wantCode(t, err, task.FailedPrecondition, "changed since the migration began")
	}
}

// TestDestinationAppears: what somebody else makes while we copy is not overwritten.
func TestDestinationAppears(t *testing.T) {
	params, _ := crashSetup(t, t.TempDir(), "csv", "csv", "create", "")
	l := prepare(t, params)
	dst := params["destination_path"].(string)
	l.kind.hook = func(point string) error {
		if point == "publish" {
			return os.WriteFile(dst, []byte("theirs"), 0o644)
		}
		return nil
	}
	_, err := l.attempt(t.Context())
	wantCode(t, err, task.FailedPrecondition, "exists already")
	if got := read(t, dst); got != "theirs" {
		t.Errorf("destination: %q", got)
	}
}

const childEnv = "MIGRATION_TEST_CHILD"

// childTask is what the process that gets killed is told.
type childTask struct {
	Params     json.RawMessage
	Attempt    int
	KillAt     int
	Checkpoint string
}

// TestChild is the attempt of TestSIGKILL, in a process of its own; alone it has nothing to do.
func TestChild(t *testing.T) {
	env := os.Getenv(childEnv)
	if env == "" {
		return
	}
	var c childTask
	if err := json.Unmarshal([]byte(env), &c); err != nil {
		t.Fatal(err)
	}
	host := jobtest.New(t)
	if data, err := os.ReadFile(c.Checkpoint); err == nil {
		host.SetCheckpoint(data)
	}
	host.After = func(_ int, data []byte) error {
		if err := os.WriteFile(c.Checkpoint+".new", data, 0o600); err != nil {
			return err
		}
		return os.Rename(c.Checkpoint+".new", c.Checkpoint)
	}
	k := New()
	k.commitEvery = 0
	points := 0
	k.hook = func(string) error {
		if points++; points == c.KillAt {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return err
			}
			select {} // until the signal has arrived
		}
		return nil
	}
	_, err := k.Run(t.Context(), host.Context(task.Task{ID: "019a-1", RootID: "019a-1", Attempt: c.Attempt, Params: c.Params}))
	if err != nil {
		t.Fatal(err)
	}
}

// TestSIGKILL is TestCrashAnywhere with a real process and a real signal: buffers are lost, journals
// are left hot.
func TestSIGKILL(t *testing.T) {
	for i, tt := range crashCases {
		t.Run(tt.name, func(t *testing.T) {
			params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
			l := prepare(t, params)
			checkpoint := filepath.Join(t.TempDir(), "checkpoint")
			kills := 0
			for attempt, at := range []int{2 + i%5, 9, 11 - i%4} {
				env := encode(t, childTask{l.task.Params, attempt + 1, at, checkpoint})
				cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
				cmd.Env = append(os.Environ(), childEnv+"="+string(env))
				out, err := cmd.CombinedOutput()
				if strings.Contains(string(out), "FAIL") {
					t.Fatalf("child: %v\n%s", err, out)
				}
				if err != nil {
					kills++
				}
			}
			if kills < 2 {
				t.Fatalf("only %d attempts were killed", kills)
			}
			if data, err := os.ReadFile(checkpoint); err == nil {
				l.host.SetCheckpoint(data)
			}
			l.task.Attempt = 3
			l.check(t, params["destination_path"].(string), want)
		})
	}
}
