package migration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

func TestRejects(t *testing.T) {
	src := write(t, "s.csv", "id,name\n1,a\n2\n3,\"x\ny\"\n4,b\"c\r\n5,\xff\n6,ok\n")
	dst := filepath.Join(t.TempDir(), "d.jsonl")
	res := migrate(t, paths(src, dst, "on_error", "file"))
	if res.Migrated != 3 || res.Skipped != 3 || res.Rejects != dst+".rejected.jsonl" {
		t.Errorf("result: %+v", res)
	}
	want := `{"line":3,"error":"1 field, but the header has 2","raw":"2"}` + "\n" +
		`{"line":6,"error":"bare \" in non-quoted-field","raw":"4,b\"c"}` + "\n" +
		`{"line":7,"error":"column name: not valid UTF-8, which JSON requires","record":{"id":5,"name":"` + "\uFFFD" + `"}}` + "\n"
	if diff := cmp.Diff(want, read(t, res.Rejects)); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	_, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, paths(src, dst, "on_error", "file", "mode", "replace"))})
	wantCode(t, err, task.FailedPrecondition, "exists already, with records", "move it away")
	res = migrate(t, paths(write(t, "good.csv", "id\n1\n"), filepath.Join(t.TempDir(), "d.csv"), "on_error", "file"))
	if _, err := os.Stat(res.Destination + ".rejected.jsonl"); !errors.Is(err, os.ErrNotExist) || res.Rejects != "" {
		t.Errorf("a file of nothing: %v, %+v", err, res)
	}
}

// TestRejectsCrash: no record that is left out is lost or doubled, wherever the attempt dies.
func TestRejectsCrash(t *testing.T) {
	for _, name := range []string{"d.db", "d.parquet"} {
		var text, want strings.Builder
		text.WriteString("id,name\n")
		for i := range 6 {
			fmt.Fprintf(&text, "%d,good\nbad%d\n", i, i)
			fmt.Fprintf(&want, `{"line":%d,"error":"1 field, but the header has 2","raw":"bad%d"}`+"\n", 2*i+3, i)
		}
		for n := 1; ; n++ {
			src, dst := write(t, "s.csv", text.String()), filepath.Join(t.TempDir(), name)
			l := prepare(t, paths(src, dst, "on_error", "file", "batch_size", 3))
			crashAt(l, "", n)
			_, err := l.attempt(t.Context())
			if err == nil {
				break
			}
			if !errors.Is(err, errCrash) {
				t.Fatalf("point %d: %v", n, err)
			}
			crashAt(l, "", 0)
			res := l.finish()
			if res.Migrated != 6 || res.Skipped != 6 {
				t.Fatalf("point %d: %+v", n, res)
			}
			if diff := cmp.Diff(want.String(), read(t, res.Rejects)); diff != "" {
				t.Fatalf("%s, point %d (-want +got):\n%s", name, n, diff)
			}
			if left, _ := filepath.Glob(dst + "*.part*"); len(left) > 0 {
				t.Fatalf("%s, point %d: left %v", name, n, left)
			}
		}
	}
}
