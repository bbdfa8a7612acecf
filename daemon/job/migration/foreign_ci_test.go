//go:build ci

package migration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

// TestCIForeignParquet reads files of pyarrow: types and encodings that are not written here have the values that the
// package doc says, and what is not read is refused.
func TestCIForeignParquet(t *testing.T) {
	folder := os.Getenv("FOREIGN_PARQUET")
	if folder == "" {
		t.Fatal("no files: .ci/migration/run makes them")
	}
	lines := func(name string, more ...any) []string {
		out := filepath.Join(t.TempDir(), "out.jsonl")
		migrate(t, paths(filepath.Join(folder, name+".parquet"), out, more...))
		return strings.Split(strings.TrimSuffix(read(t, out), "\n"), "\n")
	}
	want := map[int]string{
		0:   `{"id":0,"tiny":-100,"unsigned":18446744073709551615,"word":null,"money":-0.50,"big":0,"single":0,"at":"2026-01-02T03:04:05.678901Z","local":"2026-01-02T03:04:05.678","day":"1969-12-31","clock":"00:05:06.000007","bin":"AAA=","fixed":"AAAAAA==","yes":null}`,
		1:   `{"id":1,"tiny":-99,"unsigned":18446744073709551614,"word":"","money":-0.49,"big":1000000000000000000000000000000,"single":0.25,"at":"2026-01-02T03:04:06.678901Z","local":"2026-01-02T03:04:06.678","day":"1970-01-01","clock":"01:05:06.000007","bin":"AQA=","fixed":"AQEBAQ==","yes":false}`,
		251: `{"id":251,"tiny":-49,"unsigned":18446744073709551364,"word":"\"q\"","money":2.01,"big":251000000000000000000000000000000,"single":62.75,"at":"2026-01-02T03:08:16.678901Z","local":"2026-01-02T03:08:16.678","day":"1970-09-08","clock":"11:05:06.000007","bin":"+wA=","fixed":"+/v7+w==","yes":false}`,
	}
	first := ""
	for _, name := range []string{"flat-snappy", "flat-gzip", "flat-zstd", "flat-brotli", "flat-none", "flat-v2"} {
		got := lines(name)
		if first == "" {
			first = strings.Join(got, "\n")
			for i, record := range want {
				if diff := cmp.Diff(record, got[i]); diff != "" {
					t.Errorf("%s, record %d (-want +got):\n%s", name, i, diff)
				}
			}
		}
		if len(got) != 10_000 || strings.Join(got, "\n") != first {
			t.Errorf("%s: %d records, or others than those of flat-snappy", name, len(got))
		}
	}
	for name, want := range map[string]string{
		"flat-delta": `{"id":9999,"day":"1997-05-17","at":"2026-01-02T05:50:44.678901Z"}`,
		"int96":      `{"id":9999,"at":"2026-01-02T05:50:44.678901Z"}`,
	} {
		if got := lines(name); len(got) != 10_000 || got[9999] != want {
			t.Errorf("%s: %d records, the last %s, want %s", name, len(got), got[len(got)-1], want)
		}
	}
	if got := lines("nested", "columns", []string{"id"}); len(got) != 10_000 || got[9] != `{"id":9}` {
		t.Errorf("one column of nested: %d records", len(got))
	}
	if got := lines("empty"); len(got) != 1 || got[0] != "" {
		t.Errorf("empty: %q", got)
	}
	for name, want := range map[string]string{"nested": "nested", "flat-lz4": "compressed with LZ4"} {
		raw := encode(t, paths(filepath.Join(folder, name+".parquet"), filepath.Join(t.TempDir(), "out.csv")))
		_, err := New().Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: raw})
		if err == nil { // only the survey looks at the columns
			l := &line{t: t, kind: New(), host: jobtest.New(t), task: task.Task{ID: "019a-1", RootID: "019a-1", Params: raw}}
			_, err = l.attempt(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) || task.AsError(err).Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
