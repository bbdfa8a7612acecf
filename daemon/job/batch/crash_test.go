package batch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"durable/daemon/job"
)

var errCrash = errors.New("crash")

// crashAt makes the attempts of l die when they come to any point for the nth time.
func crashAt(l *line, n int64) (dead func() bool) {
	var seen atomic.Int64
	l.kind.checkpointEvery, l.kind.segmentSize = 0, 300
	l.kind.hook = func(p string) error {
		if seen.Add(1) >= n { // from then on nothing happens any more
			return fmt.Errorf("%w at %s, no. %d", errCrash, p, n)
		}
		return nil
	}
	return func() bool { return seen.Load() >= n }
}

// TestCrashAnywhere kills the attempt at each point that it comes to, one after the other, and lets the next attempt finish:
// every item is once in the output, and no batch is run again whose end was durable.
func TestCrashAnywhere(t *testing.T) {
	for _, parallelism := range []int{1, 3} {
		t.Run(fmt.Sprint(parallelism), func(t *testing.T) {
			t.Parallel()
			for n := int64(1); ; n++ {
				ran := filepath.Join(t.TempDir(), "ran")
				l := prepare(t, map[string]any{
					"total_items": 11, "batch_size": 2, "parallelism": parallelism,
					"command": []string{"sh", "-c", `echo $1 >> "$2"; cat`, "sh", "{index}", ran},
				})
				dead := crashAt(l, n)
				_, err := l.attempt(t.Context())
				if !dead() {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				if err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				l.kind.hook = func(string) error { return nil }
				res := l.finish()
				reruns := l.check(11, 2)
				b, err := os.ReadFile(ran)
				if err != nil {
					t.Fatal(err)
				}
				runs := strings.Count(string(b), "\n")
				if int64(reruns) != res.Reruns || runs > 6+reruns || runs < 6 {
					t.Fatalf("crash %d: %d runs of 6 batches, %d marked, result %+v", n, runs, reruns, res)
				}
			}
		})
	}
}

// TestTornTail: what a crash has left half written is cut off.
func TestTornTail(t *testing.T) {
	l := prepare(t, map[string]any{"total_items": 5, "command": []string{"cat"}})
	crashAt(l, 9)
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	work, err := l.host.WorkDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"journal-*", outputName, failedName} {
		found, err := filepath.Glob(filepath.Join(work, checkpointFolder, name))
		if err != nil || len(found) == 0 {
			t.Fatal(name, err)
		}
		for _, path := range found {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(`{"batch":4,"items":[` + "\x00\x00"); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		}
	}
	l.kind.hook = func(string) error { return nil }
	l.finish()
	l.check(5, 1)
	if got := l.artifact(failedName); len(got) != 0 {
		t.Errorf("failed: %q", got)
	}
}

// TestStop: on_error=stop ends the task at the batch that failed, and the next attempt begins with it.
func TestStop(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	for _, parallelism := range []int{1, 4} {
		_ = os.Remove(flag)
		l := prepare(t, map[string]any{
			"total_items": 9, "on_error": "stop", "parallelism": parallelism,
			"command": []string{"sh", "-c", `if [ $1 = 4 ] && [ ! -e "$2" ]; then echo no >&2; exit 3; fi; cat`, "sh", "{item}", flag},
			"stdin":   "lines",
		})
		_, err := l.attempt(t.Context())
		if err == nil || !strings.Contains(err.Error(), "batch 4 failed: exit status 3: no") || job.IsPermanent(err) {
			t.Fatalf("error %v", err)
		}
		if got := l.artifact(failedName); len(got) != 1 || got[0] != "4" {
			t.Errorf("failed: %q", got)
		}
		if recs := l.records(); len(recs) != 4 || recs[3].OK || recs[3].Stderr != "no\n" {
			t.Errorf("output: %s", encodeJSON(t, recs))
		}
		if err := os.WriteFile(flag, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if res := l.finish(); res.Processed != 9 || !res.Success {
			t.Errorf("result %+v", res)
		}
		l.check(9, 1)
		if got := l.artifact(failedName); len(got) != 0 {
			t.Errorf("failed: %q", got)
		}
	}
}

// TestContinue: failed items are kept in a file that a later call takes as its input.
func TestContinue(t *testing.T) {
	in := writeFile(t, "in.txt", "good\nbad 1\ngood\n\"bad\" 2\n")
	l := prepare(t, map[string]any{"input": in, "parallelism": 2, "command": []string{"grep", "-q", "good"}})
	res := l.finish()
	if res.Success || res.Processed != 4 || res.FailedItems != 2 || res.FailedBatches != 2 || res.Failed != failedName || res.FirstError == "" {
		t.Errorf("result %+v", res)
	}
	if got := l.artifact(failedName); strings.Join(got, ",") != `"bad 1","\"bad\" 2"` {
		t.Errorf("failed: %q", got)
	}
	dir, err := l.host.ArtifactsDir()
	if err != nil {
		t.Fatal(err)
	}
	again := prepare(t, map[string]any{"input": filepath.Join(dir, failedName), "stdin": "lines", "batch_size": 2, "command": []string{"cat"}})
	again.finish()
	if recs := again.records(); len(recs) != 1 || *recs[0].Stdout != "bad 1\n\"bad\" 2\n" {
		t.Errorf("again: %s", encodeJSON(t, recs))
	}
	all := prepare(t, map[string]any{"total_items": 3, "command": []string{"false"}})
	if _, err := all.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "all 3 batches failed; batch 1: exit status 1") {
		t.Errorf("error %v", err)
	}
}
