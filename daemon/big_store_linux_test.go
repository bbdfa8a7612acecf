package daemon_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/daemon/job/noop"
	"durable/daemon/store"
	"durable/ipc/client"
	"durable/ipc/task"
)

// Big stores are measured by hand, never asserted:
//
//	go test ./daemon -run '^$' -bench BigStore -benchtime 1x -timeout 30m
//	go test ./daemon -run '^$' -bench Idle -benchtime 1x
//
// -big-dir keeps a store from one run to the next.
var (
	bigTasks  = flag.Int("big-tasks", 1_000_000, "finished tasks in the store of BenchmarkBigStore")
	idleTasks = flag.Int("idle-tasks", 100_000, "finished tasks in the store of BenchmarkIdle")
	idleFor   = flag.Duration("idle-for", 30*time.Second, "how long BenchmarkIdle watches the daemon do nothing")
	bigDir    = flag.String("big-dir", "", "folder for BenchmarkBigStore's store, which then stays")
)

// BenchmarkBigStore: how long a store of a million finished tasks takes to open, to list its failures the first time,
// and to do so on a running daemon.
func BenchmarkBigStore(b *testing.B) {
	dir := *bigDir
	if dir == "" {
		dir = shortDir(b)
	}
	if _, err := os.Stat(storeFile(dir)); err != nil {
		began := time.Now()
		generate(b, dir, *bigTasks)
		b.Logf("%d tasks made in %s", *bigTasks, time.Since(began))
	}
	info, err := os.Stat(storeFile(dir))
	if err != nil {
		b.Fatal(err)
	}
	gigabytes := float64(info.Size()) / 1e9
	b.Logf("%.2f GB", gigabytes)
	warm(b, storeFile(dir))
	failures := func(svc interface {
		List(context.Context, task.ListQuery) (task.TaskList, error)
	}) time.Duration {
		began := time.Now()
		page, err := svc.List(b.Context(), task.ListQuery{Status: []task.Status{task.StatusFailed}, Limit: 50})
		if err != nil || len(page.Tasks) != 50 {
			b.Fatalf("list: %d tasks, %v", len(page.Tasks), err)
		}
		return time.Since(began)
	}
	for b.Loop() {
		for _, how := range []string{"closed", "killed"} {
			began := time.Now()
			st, err := store.Open(store.Options{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			var page task.TaskList
			err = st.View(func(tx *store.Tx) error {
				page, err = tx.List(task.ListQuery{Status: []task.Status{task.StatusFailed}, Limit: 50})
				return err
			})
			if err != nil || len(page.Tasks) != 50 {
				b.Fatalf("list: %d tasks, %v", len(page.Tasks), err)
			}
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/open+list_after_"+how)
			b.ReportMetric(time.Since(began).Seconds()/gigabytes, "s_per_GB_after_"+how)
			if err := st.Close(); err != nil {
				b.Fatal(err)
			}
			if how == "closed" { // let the next one find what a SIGKILL leaves
				p := start(b, dir, "").up()
				p.kill()
			}
		}
		p := start(b, dir, "").up()
		c := dial(dir, client.Options{})
		failures(c)
		times := make([]time.Duration, 200)
		for i := range times {
			times[i] = failures(c)
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms/list_p50")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "ms/list_p99")
		b.ReportMetric(rssAnon(b, p.pid())/1e6, "MB_RssAnon")
		closeClient(c)
		leave(b, p, dir)
	}
}

// BenchmarkIdle: what a daemon with 100,000 tasks uses while nothing happens.
func BenchmarkIdle(b *testing.B) {
	dir := shortDir(b)
	generate(b, dir, *idleTasks)
	for b.Loop() {
		p := start(b, dir, "").up()
		c := dial(dir, client.Options{})
		if _, err := c.List(b.Context(), task.ListQuery{}); err != nil { // somebody has looked once
			b.Fatal(err)
		}
		closeClient(c)
		time.Sleep(3 * time.Second) // what the start has left to do
		before := cpuTime(b, p.pid())
		time.Sleep(*idleFor)
		b.ReportMetric(float64((cpuTime(b, p.pid())-before).Microseconds())/1000, "ms_CPU")
		b.ReportMetric(idleFor.Seconds(), "s_watched")
		b.ReportMetric(rssAnon(b, p.pid())/1e6, "MB_RssAnon")
		leave(b, p, dir)
	}
}

// leave ends the daemon in order.
func leave(b *testing.B, p *process, dir string) {
	b.Helper()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	if err := c.Shutdown(b.Context(), task.ShutdownRequest{Restart: true}); err != nil {
		b.Fatal(err)
	}
	p.wait()
}

// generate makes a store with n ended tasks, of which each tenth has failed.
func generate(b *testing.B, dir string, n int) {
	b.Helper()
	st, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	for from := 0; from < n; from += batch {
		err := st.Update(b.Context(), store.Admission, func(tx *store.Tx) error {
			for i := from; i < min(n, from+batch); i++ {
				rec := endedRecord(i)
				if err := tx.Create(&rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

func endedRecord(i int) store.Record {
	now := time.Now().UTC()
	t := task.Task{
		Kind: noop.Name, Title: fmt.Sprintf("customers-%d.csv -> app.db", i), Attempt: 1, Queue: task.DefaultQueue,
		Status: task.StatusCompleted, Outcome: task.OutcomeSucceeded, Result: []byte(`{"steps":0}`),
		Params: mustJSON(noop.Params{Steps: i % 10}), Labels: map[string]string{"repo": "durable"},
		Progress: task.Progress{Done: int64(i), Total: task.Total(int64(i)), Unit: "records"},
		Owner:    task.Owner{UID: os.Getuid(), Client: "durablectl"}, CreatedAt: now, UpdatedAt: now, StartedAt: &now, CompletedAt: &now,
		Attempts: []task.Attempt{{Number: 1, StartedAt: now, EndedAt: now, Outcome: task.OutcomeSucceeded}},
	}
	if i%10 == 0 {
		t.Status, t.Outcome, t.Result = task.StatusFailed, task.OutcomeFailed, nil
		t.Error = task.Errorf(task.Internal, "line %d: no luck", i)
	}
	return store.Record{Task: t}
}

// warm reads the file once, so that it is in the page cache.
func warm(b *testing.B, path string) {
	b.Helper()
	if _, err := os.ReadFile(path); err != nil {
		b.Fatal(err)
	}
}

// rssAnon returns the anonymous memory of a process in bytes: the page cache of the store's file is not its.
func rssAnon(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb * 1024
		}
	}
	b.Fatal("no RssAnon")
	return 0
}

// cpuTime returns the time that the threads of a process have run, in the kernel's own precision: the ticks
// of /proc/PID/stat are 10 ms.
func cpuTime(b *testing.B, pid int) (total time.Duration) {
	b.Helper()
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		b.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ns)
	}
	if total == 0 {
		b.Fatal("this kernel does not tell how long threads have run")
	}
	return total
}
