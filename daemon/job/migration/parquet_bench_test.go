package migration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkParquet moves records from CSV to Parquet and back; verified both times. MIGRATE_ROWS changes
// their number from 100,000. rss-anon-MB is the most memory of its own that the process had.
func BenchmarkParquet(b *testing.B) {
	rows := 100_000
	if s := os.Getenv("MIGRATE_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &rows); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	source, pq := filepath.Join(dir, "orders.csv"), filepath.Join(dir, "orders.parquet")
	writeOrders(b, source, rows)
	run := func(b *testing.B, from, to string) {
		most := watchMemory(b)
		for i := range b.N {
			_ = os.Remove(to)
			res := migrateOrders(b, from, to, int64(rows))
			if i == b.N-1 {
				b.ReportMetric(float64(rows)/res.CopySeconds, "copied-rows/s")
			}
		}
		b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(most())/1024, "rss-anon-MB")
	}
	b.Run("to", func(b *testing.B) { run(b, source, pq) })
	b.Run("back", func(b *testing.B) { run(b, pq, filepath.Join(dir, "back.csv")) })
}

// watchMemory returns what stops watching and gives the largest RssAnon so far in KiB, 0 where there is none.
func watchMemory(b *testing.B) func() int64 {
	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				most.Store(max(most.Load(), rssAnon()))
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		return most.Load()
	}
}

// rssAnon returns this process's memory that is its own, in KiB; 0 where the system does not tell.
func rssAnon() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	var kb int64
	_, _ = fmt.Sscan(strings.TrimSpace(string(rest)), &kb) // 0 where there is none
	return kb
}
