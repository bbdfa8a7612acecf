package migration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

// BenchmarkMigrateCSVToSQLite moves records with six columns; beside it, where there is the sqlite3
// program, what its .import makes of the same file. The figure to look at is rows/s; MIGRATE_ROWS
// changes their number from 100,000.
func BenchmarkMigrateCSVToSQLite(b *testing.B) {
	rows := 100_000
	if s := os.Getenv("MIGRATE_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &rows); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	source := filepath.Join(dir, "orders.csv")
	writeOrders(b, source, rows)
	perSecond := func(b *testing.B, elapsed time.Duration) {
		b.ReportMetric(float64(rows)*float64(b.N)/elapsed.Seconds(), "rows/s")
	}
	b.Run("durable", func(b *testing.B) {
		var copied, all time.Duration
		for i := range b.N {
			res := migrateOrders(b, source, filepath.Join(dir, fmt.Sprintf("d%d-%d.db", b.N, i)), int64(rows))
			copied += time.Duration(res.CopySeconds * float64(time.Second))
			all += time.Duration((res.CopySeconds + res.VerifySecs) * float64(time.Second))
		}
		perSecond(b, all)
		b.ReportMetric(float64(rows)*float64(b.N)/copied.Seconds(), "copied-rows/s")
	})
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		b.Log("no sqlite3 program: no comparison")
		return
	}
	b.Run("sqlite3-import", func(b *testing.B) {
		for i := range b.N {
			db := filepath.Join(dir, fmt.Sprintf("s%d-%d.db", b.N, i))
			if out, err := exec.Command(program, db, ".mode csv", ".import "+source+" orders").CombinedOutput(); err != nil {
				b.Fatalf("sqlite3: %v: %s", err, out)
			}
		}
		perSecond(b, b.Elapsed())
	})
}

func migrateOrders(b *testing.B, source, destination string, rows int64) *result {
	b.Helper()
	k := New()
	raw, err := json.Marshal(map[string]any{"source_path": source, "destination_path": destination})
	if err != nil {
		b.Fatal(err)
	}
	plan, err := k.Prepare(b.Context(), task.Spec{Kind: "data_migration", Params: raw})
	if err != nil {
		b.Fatal(err)
	}
	t := task.Task{ID: "019a", RootID: "019a", Attempt: 1, Params: plan.Params}
	got, err := k.Run(context.Background(), jobtest.New(b).Context(t))
	if err != nil {
		b.Fatal(err)
	}
	res := got.(*result)
	if res.Migrated != rows || !res.Verified {
		b.Fatalf("got %+v, want %d verified records", res, rows)
	}
	return res
}

// writeOrders writes a file with six columns: integer, text with quotes and commas, text, decimal, date,
// text with leading zeros.
func writeOrders(tb testing.TB, path string, rows int) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	rng := rand.New(rand.NewPCG(1, 2))
	_, _ = fmt.Fprintln(w, "id,customer,email,amount,created_at,code")
	for i := range rows {
		name := "Customer " + strings.Repeat("x", i%13)
		if i%50 == 0 {
			name = `"Smith, ""J"" & Søn"`
		}
		_, _ = fmt.Fprintf(w, "%d,%s,user%d@example.com,%d.%02d,2026-%02d-%02dT10:00:00Z,%07d\n",
			i+1, name, i, rng.IntN(10000), rng.IntN(100), i%12+1, i%28+1, i%9973)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}
