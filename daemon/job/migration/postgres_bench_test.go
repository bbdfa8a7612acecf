package migration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkMigrateCSVToPostgres moves records with six columns; beside it, where there is psql, what its \copy makes of
// the same file in the same server. MIGRATE_ROWS changes their number from 100,000.
func BenchmarkMigrateCSVToPostgres(b *testing.B) {
	rows := 100_000
	if s := os.Getenv("MIGRATE_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &rows); err != nil {
			b.Fatal(err)
		}
	}
	server, name := pgDatabase(b)
	source := filepath.Join(b.TempDir(), "orders.csv")
	writeOrders(b, source, rows)
	url := server.SocketURL(name)
	b.Run("durable", func(b *testing.B) {
		var copied, all time.Duration
		for range b.N {
			server.Exec(b, name, "drop table if exists orders", "checkpoint")
			res := migrateOrders(b, source, url, int64(rows))
			copied += time.Duration(res.CopySeconds * float64(time.Second))
			all += time.Duration((res.CopySeconds + res.VerifySecs) * float64(time.Second))
			server.Exec(b, name, "drop table _durable_position")
		}
		b.ReportMetric(float64(rows)*float64(b.N)/all.Seconds(), "rows/s")
		b.ReportMetric(float64(rows)*float64(b.N)/copied.Seconds(), "copied-rows/s")
		b.ReportMetric(float64(rssAnon())/1024, "RssAnon-MB")
	})
	program, err := exec.LookPath("psql")
	if err != nil {
		b.Log("no psql: no comparison")
		return
	}
	b.Run("psql-copy", func(b *testing.B) {
		var took time.Duration
		for range b.N {
			server.Exec(b, name, "drop table if exists orders", "create table orders (id bigint, customer text, email text, amount numeric, created_at text, code text)", "checkpoint")
			start := time.Now()
			if out, err := exec.Command(program, url, "-c", `\copy orders from '`+source+`' csv header`).CombinedOutput(); err != nil {
				b.Fatalf("psql: %v: %s", err, out)
			}
			took += time.Since(start)
		}
		b.ReportMetric(float64(rows)*float64(b.N)/took.Seconds(), "rows/s")
	})
}
