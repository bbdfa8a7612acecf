package daemon_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// Figures of commands, measured by hand and never asserted:
//
//	go test ./daemon -run '^$' -bench Command -benchtime 1x
var (
	adoptCommands = flag.Int("adopt-commands", 1000, "commands that BenchmarkCommandAdoption leaves behind")
	spawns        = flag.Int("spawns", 200, "commands that BenchmarkCommandStart and BenchmarkCommandExit start")
	// 6G is beyond what memory takes in for the disk on a machine with 24 GiB. Below that a plain file costs no disk within the measured
	// time, and giving its pages back comes after it; those of a log's middle are given back while the program writes.
	logSize = flag.Int("log-size", 2<<30, "how many bytes the programs of BenchmarkCommandLog write, at least 1 GiB")
)

// milliseconds reports a percentile of times, in ms.
func milliseconds(b *testing.B, times []time.Duration, percent int, name string) float64 {
	slices.Sort(times)
	ms := float64(times[min(len(times)-1, len(times)*percent/100)].Microseconds()) / 1000
	b.ReportMetric(ms, name)
	return ms
}

// syncTime is the median of an fdatasync of 4 KiB in dir.
func syncTime(b *testing.B, dir string) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	times := make([]time.Duration, 500)
	page := make([]byte, 4096)
	for i := range times {
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkCommandStart: from the submit's acknowledgement to the event that says that the program runs, one command
// after the other; beside it what that may take: 3 ms and six syncs.
func BenchmarkCommandStart(b *testing.B) {
	dir := shortDir(b)
	sync := syncTime(b, dir)
	start(b, dir, "", withShim(b, 8)...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	for b.Loop() {
		times := make([]time.Duration, *spawns)
		for i := range times {
			stream, err := c.Events(b.Context(), task.EventQuery{Follow: true})
			if err != nil {
				b.Fatal(err)
			}
			made := submitCommand(b, c, map[string]any{"command": []string{"/bin/sleep", "1000"}, "cwd": "/"})
			began := time.Now()
			for running := false; !running; {
				e, err := stream.Next()
				if err != nil {
					b.Fatal(err)
				}
				running = e.TaskID == made.ID && e.Task != nil && e.Task.Phase == task.PhaseRunning
			}
			times[i] = time.Since(began)
			_ = stream.Close()
			cancelled(b, c, made)
		}
		milliseconds(b, times, 99, "ms_to_running_p99")
		got := milliseconds(b, times, 50, "ms_to_running_p50")
		limit := 3 + 6*float64(sync.Microseconds())/1000
		b.ReportMetric(limit, "ms_limit")
		b.ReportMetric(got/limit, "of_limit")
	}
}

func cancelled(b *testing.B, c *client.Client, made task.Task) {
	b.Helper()
	if _, err := c.Cancel(b.Context(), made.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		b.Fatal(err)
	}
	if _, err := c.Wait(b.Context(), made.ID.Ref(), patience); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCommandExit: from the end of a program to the answer of a client that waits for it. The program is cat, which
// ends when its input does.
func BenchmarkCommandExit(b *testing.B) {
	dir := shortDir(b)
	start(b, dir, "", withShim(b, 8)...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	for b.Loop() {
		times := make([]time.Duration, *spawns)
		for i := range times {
			pipe := filepath.Join(dir, "end"+strconv.Itoa(i))
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				b.Fatal(err)
			}
			made := submitCommand(b, c, map[string]any{"command": []string{"/bin/cat", pipe}, "cwd": "/"})
			end, err := os.OpenFile(pipe, os.O_WRONLY, 0) // opens when cat has
			if err != nil {
				b.Fatal(err)
			}
			answered := make(chan time.Time, 1)
			awaitTask(b, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
			asked := make(chan httptrace.WroteRequestInfo, 1)
			ctx := httptrace.WithClientTrace(b.Context(), &httptrace.ClientTrace{
				WroteRequest: func(i httptrace.WroteRequestInfo) { asked <- i },
			})
			go func() {
				_, _ = c.Wait(ctx, made.ID.Ref(), patience)
				answered <- time.Now()
			}()
			<-asked
			if _, err := c.Get(b.Context(), made.ID.Ref()); err != nil { // the daemon has had the time to take that one up, too
				b.Fatal(err)
			}
			began := time.Now()
			_ = end.Close()
			times[i] = (<-answered).Sub(began)
		}
		milliseconds(b, times, 50, "ms_exit_seen_p50")
		milliseconds(b, times, 99, "ms_exit_seen_p99")
	}
}

// BenchmarkCommandAdoption: how long a daemon takes, from its exec, to find a thousand commands again; what their shims
// weigh; and what the daemon uses while nothing happens.
func BenchmarkCommandAdoption(b *testing.B) {
	dir := shortDir(b)
	env := withShim(b, *adoptCommands)
	p := start(b, dir, "", env...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	word := "1000." + strconv.Itoa(os.Getpid())
	b.Cleanup(func() {
		for _, pid := range processesWith(word) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for range *adoptCommands {
		submitCommand(b, c, map[string]any{"command": []string{"/bin/sleep", word}, "cwd": "/"})
	}
	polltest.True(b, 5*patience, "all commands run", func() bool { return len(processesWith("/bin/sleep\x00"+word)) >= *adoptCommands })
	for b.Loop() {
		p.kill()
		began := time.Now()
		p = start(b, dir, "", env...).up()
		adopted(b, dir, *adoptCommands)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms_to_adopt_all")
		time.Sleep(3 * time.Second) // what the start has left to do
		before := cpuTime(b, p.pid())
		time.Sleep(*idleFor)
		b.ReportMetric(float64((cpuTime(b, p.pid())-before).Microseconds())/1000, "ms_CPU_idle")
		b.ReportMetric(idleFor.Seconds(), "s_watched")
		b.ReportMetric(shimPSS(b), "KiB_PSS_a_shim")
	}
}

// shimPSS is the mean proportional set size of all shims, in KiB.
func shimPSS(b *testing.B) float64 {
	b.Helper()
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	total, n := 0.0, 0
	for _, path := range names {
		if name, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(name, []byte("durable-shim")) {
			continue
		}
		rollup, err := os.ReadFile(filepath.Join(filepath.Dir(path), "smaps_rollup"))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(rollup)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					b.Fatal(err)
				}
				total += kb
				n++
			}
		}
	}
	if n == 0 {
		b.Fatal("no shim is there")
	}
	return total / float64(n)
}

// BenchmarkCommandLog: programs that write as fast as they can, against the same with a plain file, in turn: one alone, and the end of a
// pipe, of which the scheduling makes the half. Single pairs say little: the median of at least five does, with -benchtime 5x.
func BenchmarkCommandLog(b *testing.B) {
	dir := shortDir(b)
	start(b, dir, "", withShim(b, 8)...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	numbers := (*logSize + 111_111_111) / 10 // most have nine digits
	for _, tt := range []struct{ name, script string }{
		{"alone", fmt.Sprintf("exec seq %d", numbers)},
		{"pipe", fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x`, *logSize)},
	} {
		b.Run(tt.name, func(b *testing.B) { logContest(b, dir, c, tt.script) })
	}
}

func logContest(b *testing.B, dir string, c *client.Client, script string) {
	var ratios []float64
	for b.Loop() {
		plain := plainFile(b, dir, script)
		began := time.Now()
		made := submitCommand(b, c, map[string]any{"command": []string{"/bin/sh", "-c", script}, "cwd": "/"})
		done, err := c.Wait(b.Context(), made.ID.Ref(), patience)
		if err != nil || done.Status != task.StatusCompleted {
			b.Fatalf("%s, %v, %v", done.Status, done.Error, err)
		}
		ours := time.Since(began)
		ratios = append(ratios, plain.Seconds()/ours.Seconds())
		b.Logf("%.2f s, in a plain file %.2f s: %.3f", ours.Seconds(), plain.Seconds(), plain.Seconds()/ours.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "of_plain_file")
	b.ReportMetric(ratios[0], "of_plain_file_worst")
}

func plainFile(b *testing.B, dir, script string) time.Duration {
	b.Helper()
	path := filepath.Join(dir, "plain")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(path)
	}()
	p := command(b, "/bin/sh", "-c", script)
	p.cmd.Stdout = f
	began := time.Now()
	if err := p.cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkCommandFollow: from a program's write to the reader who follows its log.
func BenchmarkCommandFollow(b *testing.B) {
	dir := shortDir(b)
	start(b, dir, "", withShim(b, 8)...).up()
	c := dial(dir, client.Options{Via: task.ViaCLI})
	defer closeClient(c)
	made := submitCommand(b, c, map[string]any{
		"command": []string{"/bin/sh", "-c", `while :; do date +%s%N; sleep 0.02; done`}, "cwd": "/",
	})
	awaitTask(b, c, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
	log, err := c.Log(b.Context(), made.ID.Ref(), task.LogQuery{Stream: task.StreamStdout, Follow: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Body.Close() }()
	for b.Loop() {
		var times []time.Duration
		buf := make([]byte, 4096)
		for len(times) < 500 {
			n, err := log.Body.Read(buf)
			at := time.Now()
			if err != nil && err != io.EOF {
				b.Fatal(err)
			}
			for line := range strings.Lines(string(buf[:n])) {
				if ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil && len(line) > 15 {
					times = append(times, at.Sub(time.Unix(0, ns)))
				}
			}
		}
		milliseconds(b, times, 50, "ms_follow_p50")
		milliseconds(b, times, 99, "ms_follow_p99")
	}
	cancelled(b, c, made)
}
