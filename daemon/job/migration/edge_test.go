package migration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

// TestSkippedAtTheEnd: what comes after the last good record is left out too, and counted.
func TestSkippedAtTheEnd(t *testing.T) {
	for name, source := range map[string]string{
		"s.csv": "id,name\n1,a\n2,b\n3\n4,c,d\n", "s.jsonl": "{\"id\":1}\n{\"id\":2}\nnot JSON\n[4]\n",
	} {
		src := write(t, name, source)
		res := migrate(t, paths(src, filepath.Join(t.TempDir(), "d.db"), "on_error", "skip"))
		if diff := cmp.Diff([]int64{2, 2, 2}, []int64{res.Migrated, res.Total, res.Skipped}); diff != "" {
			t.Errorf("%s: counts (-want +got):\n%s", name, diff)
		}
		// With a limit that the good ones reach, what comes after is not looked at.
		res = migrate(t, paths(src, filepath.Join(t.TempDir(), "d.db"), "on_error", "skip", "record_count", 2))
		if diff := cmp.Diff([]int64{2, 2, 0}, []int64{res.Migrated, res.Total, res.Skipped}); diff != "" {
			t.Errorf("%s, limited: counts (-want +got):\n%s", name, diff)
		}
	}
}

// TestWhatIsPublishedIsNotCut: the crash lies between link and remove, and somebody adds to the new file before the
// next attempt. His lines must not be cut off through the partial file's name, which is the same file.
func TestWhatIsPublishedIsNotCut(t *testing.T) {
	src := write(t, "s.csv", "id\n1\n2\n")
	dst := filepath.Join(t.TempDir(), "d.csv")
	l := prepare(t, paths(src, dst))
	crashAt(l, "linked", 1)
	if _, err := l.attempt(t.Context()); err == nil {
		t.Fatal("no crash")
	}
	f, err := os.OpenFile(dst, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("3\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	_, err = l.attempt(t.Context())
	wantCode(t, err, task.Internal, "something else wrote to it")
	if diff := cmp.Diff("id\n1\n2\n3\n", read(t, dst)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

// TestATableThatRollsBack: ON CONFLICT ROLLBACK ends the transaction under us, with the records before.
func TestATableThatRollsBack(t *testing.T) {
	src := write(t, "s.csv", "id\n1\n2\n1\n3\n4\n")
	dst := sqlExec(t, filepath.Join(t.TempDir(), "d.db"), "create table s (id INTEGER, unique (id) on conflict rollback)")
	for range 2 {
		_, err := prepare(t, paths(src, dst, "mode", "append", "on_error", "skip")).attempt(t.Context())
		wantCode(t, err, task.FailedPrecondition, "rolls back all", "UNIQUE")
		if diff := cmp.Diff("id INTEGER\n", dump(t, dst, "s")); diff != "" {
			t.Errorf("content (-want +got):\n%s", diff)
		}
	}
}

// TestCrashAmongTheSkipped: what is left out at the end is counted once, wherever an attempt dies.
func TestCrashAmongTheSkipped(t *testing.T) {
	src := write(t, "s.csv", "id,name\n1,a\n2,b\n3\n4,c,d\n5\n")
	for n := 1; ; n++ {
		l := prepare(t, paths(src, filepath.Join(t.TempDir(), "d.csv"), "on_error", "skip", "batch_size", 1))
		crashAt(l, "", n)
		_, err := l.attempt(t.Context())
		if err == nil {
			return
		}
		l.kind.hook = func(string) error { return nil }
		if res := l.finish(); res.Migrated != 2 || res.Skipped != 3 || len(res.Skips) != 3 {
			t.Fatalf("after a crash at point %d: %+v", n, res)
		}
	}
}
