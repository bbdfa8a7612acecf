package store

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"durable/ipc/task"
)

// BenchmarkLarge needs DURABLE_BENCH_TASKS=1000000 (or another number): it fills a store with that many
// tasks, most of them ended, and measures what must not depend on their number: opening after a clean
// stop, the list, a submit; and what may: opening after a crash.
func BenchmarkLarge(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("DURABLE_BENCH_TASKS"))
	if err != nil || n <= 0 {
		n = 10_000
	}
	dir := b.TempDir()
	s := openBench(b, dir)
	fill(b, s, n)
	size := s.Info().Size
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open=clean", func(b *testing.B) { benchOpen(b, dir, size) })
	s = openBench(b, dir)
	q := task.ListQuery{Status: []task.Status{task.StatusFailed}, Limit: 50}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			mustList(b, s, q, 50)
		}
	})
	b.Run("resolve=ending", func(b *testing.B) {
		ref := task.Ref(mustList(b, s, q, 50)[7].ID[24:])
		for b.Loop() {
			if err := s.View(func(tx *Tx) error { _, err := tx.Resolve(ref); return err }); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, callers := range []int{1, 64} {
		b.Run("create/callers="+strconv.Itoa(callers), func(b *testing.B) {
			crowd(b, callers, func(int) error {
				rec := benchRecord()
				return s.Update(context.Background(), Admission, func(tx *Tx) error { return tx.Create(&rec) })
			})
		})
	}
	b.Run("backup", func(b *testing.B) {
		for range b.N {
			if _, err := s.Backup(context.Background(), b.TempDir()+"/backup", false); err != nil {
				b.Fatal(err)
			}
		}
	})
	crashed := b.TempDir()
	copyStore(b, dir, crashed)
	b.Run("open=crashed", func(b *testing.B) { benchOpen(b, crashed, size) })
}

// benchOpen measures open and first list. A store that was not closed in order is put back each time.
func benchOpen(b *testing.B, dir string, size int64) {
	for range b.N {
		b.StopTimer()
		work := b.TempDir()
		copyStore(b, dir, work)
		b.StartTimer()
		s, err := Open(Options{Dir: work})
		if err != nil {
			b.Fatal(err)
		}
		mustList(b, s, task.ListQuery{Status: []task.Status{task.StatusFailed}, Limit: 50}, 50)
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(float64(size)/1e9), "s/GB")
	b.ReportMetric(float64(size)/1e6, "MB")
}

func mustList(b *testing.B, s *Store, q task.ListQuery, want int) (tasks []task.Task) {
	err := s.View(func(tx *Tx) error {
		page, err := tx.List(q)
		tasks = page.Tasks
		return err
	})
	if err != nil || len(tasks) != want {
		b.Fatalf("%d tasks, %v", len(tasks), err)
	}
	return tasks
}

func copyStore(b *testing.B, from, to string) {
	b.Helper()
	for _, name := range []string{storeFile, markerFile} {
		data, err := os.ReadFile(from + "/" + name)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(to+"/"+name, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// fill makes n tasks as a daemon does: submitted, started, ended, a tenth of them failed.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	states := []task.State{{Status: task.StatusRunning, Phase: task.PhaseRunning}, {Status: task.StatusCompleted}}
	for from := 0; from < n; from += 500 {
		recs := make([]Record, min(500, n-from))
		step := func(fn func(tx *Tx, i int, rec *Record) error) {
			err := s.Update(context.Background(), Essential, func(tx *Tx) error {
				for i := range recs {
					if err := fn(tx, i, &recs[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		step(func(tx *Tx, i int, rec *Record) error { *rec = benchRecord(); return tx.Create(rec) })
		for _, st := range states {
			step(func(tx *Tx, i int, rec *Record) error {
				rec.Task.Status, rec.Task.Phase = st.Status, st.Phase
				if st.Status.Terminal() {
					now := time.Now()
					rec.Task.CompletedAt = &now
					if i%10 == 0 {
						rec.Task.Status = task.StatusFailed
					}
				}
				return tx.Put(rec, task.EventStatus)
			})
		}
	}
}
