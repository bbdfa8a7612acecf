package shim_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/daemon/shim"
)

// percentile returns the value below which p percent of all lie.
func percentile(all []time.Duration, p int) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[min(len(all)*p/100, len(all)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// memory returns the PSS of a process, and the part of it that is its own, in bytes.
func memory(t testing.TB, pid int) (pss, own int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kb); err == nil {
			pss = kb << 10
		}
		if _, err := fmt.Sscanf(line, "Pss_Anon: %d kB", &kb); err == nil {
			own = kb << 10
		}
	}
	return pss, own
}

// fleet starts n programs that sleep, and returns how long each start took.
func fleet(b testing.TB, n int) (beds []*bed, procs []*shim.Process, took []time.Duration) {
	b.Helper()
	for range n {
		bed := newBed(b, "")
		bed.spec.Args, bed.spec.Path = []string{"sleep", "1000"}, "/bin/sleep"
		begin := time.Now()
		procs = append(procs, bed.start())
		took = append(took, time.Since(begin))
		beds = append(beds, bed)
	}
	b.Cleanup(func() {
		for _, p := range procs {
			_ = p.Stop(0)
		}
		for _, p := range procs {
			_, _ = p.Wait(context.Background())
		}
	})
	return beds, procs, took
}

// BenchmarkSpawn: 200 programs, from Start to its return, and what their holders weigh then.
func BenchmarkSpawn(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		beds, _, took := fleet(b, 200)
		var pss, own int64
		for _, bed := range beds {
			p, o := memory(b, bed.holder().PID)
			pss, own = pss+p, own+o
		}
		b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
		b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
		b.ReportMetric(float64(pss)/float64(len(beds))/(1<<20), "MiB-PSS")
		b.ReportMetric(float64(own)/float64(len(beds))/(1<<20), "MiB-own")
		b.StartTimer()
	}
}

// BenchmarkSpawnNext: 200 programs, one after the end of the other, without and with a holder that is ready.
func BenchmarkSpawnNext(b *testing.B) {
	ready := make(chan struct{}, 1)
	for name, spare := range map[string]*shim.Spare{"cold": nil, "spare": newSpare(b)} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				for range 200 {
					took = append(took, next(b, spare, ready))
				}
			}
			b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
			b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
		})
	}
}

// next starts and ends a program, and returns how long the start took.
func next(b *testing.B, spare *shim.Spare, ready chan struct{}) time.Duration {
	bed := newBed(b, "")
	bed.l.Spare = spare
	bed.l.Hook = func(point string) {
		if point == shim.PointSpare {
			ready <- struct{}{}
		}
	}
	bed.spec.Args, bed.spec.Path = []string{"sleep", "1000"}, "/bin/sleep"
	begin := time.Now()
	p := bed.start()
	took := time.Since(begin)
	if spare != nil {
		<-ready
	}
	if err := p.Stop(0); err != nil {
		b.Fatal(err)
	}
	bed.wait(p)
	return took
}

// BenchmarkExit: from the end of a program until Wait says so.
func BenchmarkExit(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		bed := newBed(b, "read x < go")
		if err := mkfifo(bed.dir + "/go"); err != nil {
			b.Fatal(err)
		}
		p := bed.start()
		time.AfterFunc(20*time.Millisecond, func() { bed.write("go", "\n") })
		e := bed.wait(p)
		took = append(took, time.Since(e.Ended))
	}
	b.ReportMetric(milliseconds(percentile(took, 50)), "ms-p50")
	b.ReportMetric(milliseconds(percentile(took, 99)), "ms-p99")
}

// BenchmarkAdopt: 1,000 programs that run are found again by one goroutine.
func BenchmarkAdopt(b *testing.B) {
	beds, _, _ := fleet(b, 1000)
	for b.Loop() {
		for _, bed := range beds {
			bed.recover(shim.Running)
		}
	}
}

// TestLight: a holder that nothing happens to weighs little, and does not run.
func TestLight(t *testing.T) {
	beds, _, _ := fleet(t, 20)
	pid := beds[0].holder().PID
	last, since := "", time.Now()
	beds[0].eventually("the holder is idle", func() bool {
		if now := switches(t, pid); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
	var pss int64
	for _, bed := range beds {
		p, _ := memory(t, bed.holder().PID)
		pss += p
	}
	if mean := pss / int64(len(beds)); mean > 1<<20 {
		t.Errorf("a holder weighs %d KiB", mean>>10)
	}
}

// switches returns how often the threads of a process gave up the processor, in a form that can be compared.
func switches(t *testing.T, pid int) string {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "ctxt_switches") {
				all = append(all, line)
			}
		}
	}
	return strings.Join(all, "")
}
