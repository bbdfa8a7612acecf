package migration

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

func TestColumnsRenamed(t *testing.T) {
	for name, text := range map[string]string{
		"a.csv":   "id,name,postcode,a=b\n1,Ana,007,x\n",
		"a.jsonl": `{"id":1,"name":"Ana","postcode":"007"}` + "\n",
	} {
		dst := filepath.Join(t.TempDir(), "out.jsonl")
		migrate(t, paths(write(t, name, text), dst, "columns", []string{"zip=postcode", "id"}))
		if diff := cmp.Diff(`{"zip":"007","id":1}`+"\n", read(t, dst)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	dst := filepath.Join(t.TempDir(), "out.csv")
	migrate(t, paths(write(t, "a.csv", "id,a=b\n1,x\n"), dst, "columns", []string{"a=b", "n=id"}))
	if diff := cmp.Diff("a=b,n\nx,1\n", read(t, dst)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range [][]string{{"a", "a=b"}, {"=b"}, {"a="}, {"x=a", "y=a"}, {""}} {
		p := params{Columns: bad}
		wantCode(t, checkChoices(p.choices(nil)), task.InvalidArgument, "named twice")
	}
}

func FuzzColumns(f *testing.F) {
	f.Add("zip=postcode", "a")
	f.Add("=", "==")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := params{Columns: []string{a, b}}
		if checkChoices(p.choices(nil)) != nil {
			return
		}
		var all []column
		for _, name := range p.sourceNames(nil) {
			all = append(all, column{Name: name})
		}
		cols, err := p.choose(append([]column{}, all...))
		if err != nil {
			return // a column of the source that is called like a choice of another
		}
		if got := sourceColumns(cols); got[0].Name != all[0].Name && got[0].Name != a {
			t.Errorf("%q: column %q of the source, want %q", p.Columns, got[0].Name, all[0].Name)
		}
	})
}

// TestRateLimit runs on a clock of its own.
func TestRateLimit(t *testing.T) {
	src := write(t, "a.jsonl", `{"a":1}`+"\n"+`{"a":2}`+"\n"+`{"a":3}`+"\n"+`{"a":4}`+"\n")
	dst := filepath.Join(t.TempDir(), "out.jsonl")
	l := prepare(t, paths(src, dst, "rate_limit", 0.5))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := l.kind.Run(t.Context(), l.host.Context(l.task)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("4 records at one each 2 s took %v, want 8 s", took)
		}
	})
	if got := read(t, dst); got != read(t, src) {
		t.Errorf("destination: %s", got)
	}
}

func TestRateLimitRefused(t *testing.T) {
	for _, r := range []float64{0, -1, 1e10} {
		wantCode(t, (&params{RateLimit: &r}).checkRate(), task.InvalidArgument, "rate_limit")
	}
}
