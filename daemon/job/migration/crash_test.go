package migration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job"
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
	{"create Parquet", "csv", "parquet", "create", ""},
	{"replace Parquet", "jsonl.zst", "parquet", "replace", "old\n"},
	{"append to Parquet", "db", "parquet", "append", "{\"id\":-1,\"name\":\"old\"}\n"},
	{"from Parquet", "parquet", "jsonl.zst", "create", ""},
	{"create gzip", "csv.gz", "csv.gz", "create", ""},
	{"append to gzip", "jsonl", "csv.gz", "append", "id,name\n-1,old\n"},
	{"append to zstd", "db", "jsonl.zst", "append", "{\"id\":-1,\"name\":\"old\"}"},
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
	want := map[string]string{"db": "id INTEGER, name TEXT\n", "csv": "id,name\n", "csv.gz": "id,name\n"}[destination]
	row := func(id int, name string) {
		switch destination {
		case "db":
			want += fmt.Sprintf("%d|'%s'\n", id, name)
		case "csv", "csv.gz":
			want += fmt.Sprintf("%d,%s\n", id, name)
		default:
			want += fmt.Sprintf("{\"id\":%d,\"name\":\"%s\"}\n", id, name)
		}
	}
	if mode == "append" {
		row(-1, "old")
	}
	if strings.HasPrefix(source, "csv") {
		text.WriteString("id,name\n")
	}
	for i := range crashRecords {
		name := fmt.Sprintf("n%03d", i)
		if strings.HasPrefix(source, "csv") {
			fmt.Fprintf(&text, "%d,%s\n", i, name)
		} else {
			fmt.Fprintf(&text, "{\"id\":%d,\"name\":%q}\n", i, name)
		}
		statements = append(statements, fmt.Sprintf("insert into data values (%d, '%s')", i, name))
		row(i, name)
	}
	if source == "db" {
		sqlExec(t, src, statements...)
	} else {
		writeAs(t, src, text.String())
	}
	if old != "" && destination == "db" {
		sqlExec(t, dst, strings.Split(old, ";")...)
	} else if old != "" && mode == "replace" {
		if err := os.WriteFile(dst, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != "" {
		writeAs(t, dst, old)
	}
	p := paths(src, dst, "mode", mode, "batch_size", 4)
	if destination == "db" {
		p["destination_table"] = "data"
	}
	return p, want
}

// writeAs writes text compressed as the name of path says, or as Parquet.
func writeAs(t *testing.T, path, text string) {
	t.Helper()
	if strings.HasSuffix(path, ".parquet") {
		migrate(t, paths(write(t, "text.jsonl", text), path))
		return
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var w io.Writer = f
	if c, _ := compressionOf(path); c != compressNone {
		m, err := newMembers(c, f)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(m.end(), f.Close()); err != nil {
				t.Fatal(err)
			}
		}()
		_, err = m.Write([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err = io.WriteString(w, text); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
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
			t.Parallel()
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
			t.Parallel()
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

// TestFenced: an attempt that was overtaken, by one that has finished or by one that has not, neither
// writes nor reports success.
func TestFenced(t *testing.T) {
	for _, finished := range []bool{true, false} {
		params, want := crashSetup(t, t.TempDir(), "csv", "db", "create", "")
		dst := params["destination_path"].(string)
		l := prepare(t, params)
		l.task.Attempt = 1 // the engine believes that attempt 1 is gone
		old := *l
		old.task.Attempt = 0
		old.kind = New()
		old.kind.commitEvery = 0
		writes := 0
		old.kind.hook = func(point string) error {
			if point != "write" {
				return nil
			}
			if writes++; writes == 3 && finished {
				l.check(t, dst, want)
			} else if writes == 3 {
				crashAt(l, "write", 2)
				if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
					t.Errorf("the attempt that overtakes: %v", err)
				}
			}
			return nil
		}
		if _, err := old.attempt(t.Context()); !errors.Is(err, job.ErrFenced) {
			t.Fatalf("finished=%v: error %v, want ErrFenced", finished, err)
		}
		if finished {
			if diff := cmp.Diff(want, content(t, dst)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			continue
		}
		crashAt(l, "", 0)
		l.check(t, dst, want)
	}
}

// TestTornTail: what lies in a partial file behind its checkpoint is cut off.
func TestTornTail(t *testing.T) {
	for _, tt := range crashCases {
		if tt.destination == "db" {
			continue
		}
		params, want := crashSetup(t, t.TempDir(), tt.source, tt.destination, tt.mode, tt.old)
		dst := params["destination_path"].(string)
		l := prepare(t, params)
		crashAt(l, "write", 3)
		if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		f, err := os.OpenFile(partPath(dst, l.host.Context(l.task)), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(strings.Repeat("torn,\n", 10_000))
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		crashAt(l, "", 0)
		l.check(t, dst, want)
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
			t.Parallel()
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
			if found, err := l.host.Context(l.task).Load(&st); err != nil || !found || st.Done.Records < 4 {
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

// TestStopAnywhere: also outside the copy, the end is the cause of the context.
func TestStopAnywhere(t *testing.T) {
	for _, point := range []string{"created", "commit", "checkpoint", "verify"} {
		params, want := crashSetup(t, t.TempDir(), "db", "db", "create", "")
		l := prepare(t, params)
		ctx, cancel := context.WithCancelCause(t.Context())
		l.kind.hook = func(p string) error {
			if p == point {
				cancel(job.ErrCancelled)
			}
			return nil
		}
		if _, err := l.attempt(ctx); !errors.Is(err, job.ErrCancelled) {
			t.Errorf("at %s: error %v, want ErrCancelled", point, err)
		}
		l.kind.hook = New().hook
		l.check(t, params["destination_path"].(string), want)
	}
	params, _ := crashSetup(t, t.TempDir(), "csv", "csv", "create", "")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(job.ErrTimeout)
	if _, err := prepare(t, params).attempt(ctx); !errors.Is(err, job.ErrTimeout) {
		t.Errorf("at the start: error %v, want ErrTimeout", err)
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
