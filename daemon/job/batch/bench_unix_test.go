//go:build unix

package batch

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

// BenchmarkOverhead holds a batch at parallelism=2 against the bare command, started by the same number of goroutines with its
// output read, and a sync of the data of a file that grows.
func BenchmarkOverhead(b *testing.B) {
	const items, parallelism = 1000, 2
	dir := b.TempDir()
	for b.Loop() {
		bare := each(b, items, parallelism, func() error {
			_, err := exec.Command("/bin/true").Output()
			return err
		})
		f, err := os.Create(filepath.Join(dir, "sync"))
		if err != nil {
			b.Fatal(err)
		}
		line := make([]byte, 100)
		synced := each(b, 200, 1, func() error {
			if _, err := f.Write(line); err != nil {
				return err
			}
			return datasync(f)
		})
		_ = f.Close()
		k, host := newKind(), jobtest.New(b)
		plan, err := k.Prepare(b.Context(), task.Spec{Kind: Name, Params: encodeJSON(b, map[string]any{
			"total_items": items, "parallelism": parallelism, "cwd": dir, "command": []string{"/bin/true"}, "stdin": "none",
		})})
		if err != nil {
			b.Fatal(err)
		}
		host.SetSecrets(plan.Secrets)
		began := time.Now()
		if _, err := k.Run(b.Context(), host.Context(task.Task{ID: "bench", RootID: "bench", Attempt: 1, Params: plan.Params})); err != nil {
			b.Fatal(err)
		}
		batch := parallelism * time.Since(began) / items
		for unit, d := range map[string]time.Duration{
			"bare-ms": bare, "fdatasync-ms": synced, "batch-ms": batch, "overhead-ms": batch - bare, "beyond-2-fdatasync-ms": batch - bare - 2*synced,
		} {
			b.ReportMetric(float64(d)/float64(time.Millisecond), unit)
		}
	}
}

// each runs f so many times in several goroutines, and returns how long one took.
func each(b *testing.B, n, parallelism int, f func() error) time.Duration {
	b.Helper()
	began := time.Now()
	var group sync.WaitGroup
	for range parallelism {
		group.Go(func() {
			for range n / parallelism {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(began) * time.Duration(parallelism) / time.Duration(n)
}
