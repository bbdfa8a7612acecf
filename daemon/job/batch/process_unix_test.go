//go:build unix

package batch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/daemon/job"
	"durable/daemon/shim/proc"
	"durable/ipc/polltest"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// numbersIn returns the process numbers that a file has, one a line.
func numbersIn(path string) []int {
	b, _ := os.ReadFile(path)
	var pids []int
	for _, line := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(line); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func gone(pids []int) bool {
	for _, pid := range pids {
		if proc.Start(pid) != "" {
			return false
		}
	}
	return true
}

// TestCancel: a cancel ends the whole tree of a command, and what was recorded stays.
func TestCancel(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	l := prepare(t, map[string]any{
		"total_items": 5, "grace": "50ms",
		"command": []string{"sh", "-c", `[ {item} -lt 3 ] && exit 0; trap "" TERM; sleep 1000 & echo $$ $! > "$1.new"; mv "$1.new" "$1"; wait; sleep 1000`, "sh", pids},
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := l.attempt(ctx)
		ended <- err
	}()
	polltest.True(t, patience, "the command runs", func() bool { return len(numbersIn(pids)) >= 2 })
	cancel(job.ErrCancelled)
	if err := <-ended; !errors.Is(err, job.ErrCancelled) {
		t.Fatalf("error %v", err)
	}
	if recs := l.records(); len(recs) != 2 {
		t.Errorf("output %s", encodeJSON(t, recs))
	}
	if left := numbersIn(pids); len(left) != 2 || !gone(left) {
		t.Errorf("processes %v are left", left)
	}
}

// TestTimeout: a batch that takes too long fails.
func TestTimeout(t *testing.T) {
	l := prepare(t, map[string]any{"total_items": 1, "timeout": "50ms", "command": []string{"sleep", "1000"}})
	if _, err := l.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "batch 1: timed out") {
		t.Errorf("error %v", err)
	}
	if recs := l.records(); len(recs) != 1 || recs[0].Error != "timed out" || recs[0].OK {
		t.Errorf("output %s", encodeJSON(t, recs))
	}
}

// TestLeftovers: what a command leaves behind is killed when it ends.
func TestLeftovers(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	l := prepare(t, map[string]any{"total_items": 1, "command": []string{"sh", "-c", `sleep 1000 & echo $! > "$1"; echo said`, "sh", pids}})
	l.finish()
	if recs := l.records(); *recs[0].Stdout != "said\n" {
		t.Errorf("output %s", encodeJSON(t, recs))
	}
	polltest.True(t, patience, "it is gone", func() bool { return gone(numbersIn(pids)) })
}

// TestOutput: what a command prints is bounded, and what is not UTF-8 is kept.
func TestOutput(t *testing.T) {
	l := prepare(t, map[string]any{"total_items": 1, "output_limit": 10, "command": []string{"printf", `0123456789abc`}})
	l.finish()
	if rec := l.records()[0]; *rec.Stdout != "0123456789" || rec.Cut != 3 {
		t.Errorf("%s", encodeJSON(t, rec))
	}
	l = prepare(t, map[string]any{"total_items": 1, "command": []string{"printf", `\377\n`}})
	l.finish()
	if rec := l.records()[0]; rec.Stdout != nil || rec.Base64 != "/wo=" {
		t.Errorf("%s", encodeJSON(t, rec))
	}
}

// TestSecrets: the environment's values reach the command, and are shown nowhere.
func TestSecrets(t *testing.T) {
	l := prepare(t, map[string]any{"total_items": 1, "env": map[string]string{"KEY": "s3cret-value"}, "command": []string{"sh", "-c", `[ ${#KEY} = 12 ] && echo $DURABLE_BATCH`}})
	if strings.Contains(string(l.task.Params), "s3cret") {
		t.Errorf("params %s", l.task.Params)
	}
	l.finish()
	if rec := l.records()[0]; *rec.Stdout != "1\n" {
		t.Errorf("%s", encodeJSON(t, rec))
	}
}

// TestBrokenOff: a batch that was ended because another could not be recorded has not failed: it is run again.
func TestBrokenOff(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	l := prepare(t, map[string]any{
		"total_items": 4, "parallelism": 2, "grace": "50ms",
		"command": []string{"sh", "-c", `[ {item} = 1 ] && [ ! -e "$1" ] && { : > "$1"; exec sleep 1000; }; until [ -e "$1" ]; do :; done`, "sh", flag},
	})
	l.kind.hook = func(p string) error {
		if p == "ended" {
			return errCrash
		}
		return nil
	}
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatalf("error %v", err)
	}
	l.kind.hook = func(string) error { return nil }
	if res := l.finish(); !res.Success || res.Reruns != 2 {
		t.Errorf("result %+v, output %s", res, encodeJSON(t, l.records()))
	}
	l.check(4, 1)
}
