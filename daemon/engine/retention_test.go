package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/task"
)

const kib = 1 << 10

// litter leaves a file of that many KiB, and fails where it is told to.
var litter = script{name: "litter", run: func(_ context.Context, j *job.Context) (any, error) {
	var p struct {
		KiB  int
		Fail bool
	}
	if err := j.Params(&p); err != nil {
		return nil, err
	}
	dir, err := j.ArtifactsDir()
	if err == nil && p.KiB > 0 {
		err = os.WriteFile(filepath.Join(dir, "x"), make([]byte, p.KiB*kib), 0o600)
	}
	if p.Fail {
		err = errors.New("no")
	}
	return nil, err
}}

func (h *house) litter(kib int, fail bool) task.Task {
	h.t.Helper()
	params, _ := json.Marshal(map[string]any{"KiB": kib, "Fail": fail})
	return h.wait(h.submit(task.Spec{Kind: "litter", Params: params}).ID)
}

func (h *house) left() (numbers []uint64) {
	h.t.Helper()
	list, err := h.List(h.t.Context(), task.ListQuery{})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, t := range list.Tasks {
		numbers = append(numbers, t.Number)
	}
	slices.Sort(numbers)
	return numbers
}

func (h *house) wantLeft(want ...uint64) {
	h.t.Helper()
	if got := h.left(); !slices.Equal(got, want) {
		h.t.Errorf("left are %v, want %v", got, want)
	}
	entries, err := os.ReadDir(filepath.Join(h.dir, "tasks"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, entry := range entries {
		if _, err := h.Get(h.t.Context(), task.Ref(entry.Name())); err != nil {
			h.t.Errorf("folder %s is left: %v", entry.Name(), err)
		}
		if _, err := os.Stat(filepath.Join(h.dir, "tasks", entry.Name(), "forgotten")); err == nil {
			h.t.Errorf("task %s is marked, and there", entry.Name())
		}
	}
}

func (h *house) prune(req task.PruneRequest) task.PruneResult {
	h.t.Helper()
	got, err := h.Prune(h.t.Context(), req)
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func TestPruneBySize(t *testing.T) {
	k, running, release := hold("k")
	defer close(release)
	h := newHouse(t, litter, k).up()
	for _, size := range []int{400, 100, 100, 0, 100} {
		h.litter(size, false)
	}
	busy := h.submit(task.Spec{Kind: "k"})
	<-running
	if err := os.MkdirAll(filepath.Join(h.dir, "tasks", string(busy.ID)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "tasks", string(busy.ID), "big"), make([]byte, 900*kib), 0o600); err != nil {
		t.Fatal(err)
	}
	h.wantLeft(1, 2, 3, 4, 5, 6)
	if got := h.prune(task.PruneRequest{}); got != (task.PruneResult{}) { // no limit is configured
		t.Errorf("pruned %+v", got)
	}
	if got := h.prune(task.PruneRequest{MaxBytes: 250 * kib, DryRun: true}); got.Tasks != 2 || got.Bytes < 500*kib || got.Bytes > 550*kib {
		t.Errorf("would prune %+v", got)
	}
	h.wantLeft(1, 2, 3, 4, 5, 6)
	if got := h.prune(task.PruneRequest{MaxBytes: 250 * kib}); got.Tasks != 2 || got.Bytes < 500*kib {
		t.Errorf("pruned %+v", got)
	}
	h.wantLeft(3, 4, 5, 6)
	if got := h.prune(task.PruneRequest{MaxBytes: 1}); got.Tasks != 2 { // of number 4 nothing is won
		t.Errorf("pruned %+v", got)
	}
	h.wantLeft(4, 6)
	_, err := h.Prune(t.Context(), task.PruneRequest{OlderThan: -1})
	wantCode(t, err, task.InvalidArgument)
}

// TestPruneKeepsWhatARetryGoesOnWith: an ended task that an unfinished one repeats, directly or not.
func TestPruneKeepsWhatARetryGoesOnWith(t *testing.T) {
	release := make(chan struct{})
	h := newHouse(t, script{name: "litter", run: func(ctx context.Context, j *job.Context) (any, error) {
		if j.Task().Labels["hold"] != "" || j.Task().RetryOf != "" && j.Task().Number > 2 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return litter.run(ctx, j)
	}}).up()
	first := h.litter(10, true)
	retry := func(id task.ID, fresh bool) task.Task {
		t.Helper()
		got, err := h.Retry(t.Context(), id.Ref(), task.RetryRequest{Fresh: fresh}, "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	second := h.wait(retry(first.ID, false).ID)
	third := retry(second.ID, false)
	other := h.litter(10, false)
	if got := h.prune(task.PruneRequest{OlderThan: 1}); got.Tasks != 1 {
		t.Errorf("pruned %+v", got)
	}
	if got := h.left(); slices.Contains(got, other.Number) || len(got) != 3 {
		t.Errorf("left are %v", got)
	}
	close(release)
	h.wait(third.ID)
	if got := h.prune(task.PruneRequest{OlderThan: 1}); got.Tasks != 3 {
		t.Errorf("pruned %+v", got)
	}
	h.wantLeft()
}

// TestRetentionByItself: at the start, and after endings, an hour apart at least; while nothing happens, never.
func TestRetentionByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		h := newHouse(t, litter)
		h.tune = func(c *engine.Config) {
			c.Retention = func() engine.Retention { return engine.Retention{Age: 30 * day} }
		}
		h.up()
		h.litter(1, false)
		time.Sleep(20 * day)
		h.litter(1, false)
		time.Sleep(11 * day)
		synctest.Wait()
		h.wantLeft(1, 2) // nothing has happened since
		h.litter(1, false)
		synctest.Wait()
		h.wantLeft(2, 3)
		time.Sleep(19*day - 30*time.Minute)
		h.litter(1, false) // prunes at once: number 2 is not old enough by half an hour
		synctest.Wait()
		h.litter(1, false)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		h.wantLeft(2, 3, 4, 5)
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		h.wantLeft(3, 4, 5)
		h.down()
		time.Sleep(25 * day)
		h.up()
		synctest.Wait()
		h.wantLeft(4, 5)
		h.down()
	})
}

// TestACrashWhilePruningLeavesNothing: the folder of a task whose removal was committed is no stranger's.
func TestACrashWhilePruningLeavesNothing(t *testing.T) {
	for name, remove := range map[string]func(*house, task.ID) error{
		"prune": func(h *house, _ task.ID) error {
			_, err := h.Prune(h.t.Context(), task.PruneRequest{OlderThan: 1})
			return err
		},
		"forget": func(h *house, id task.ID) error { return h.Forget(h.t.Context(), id.Ref()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, litter)
			type crash struct{}
			h.hook = func(point string) {
				if point == "forget.committed" {
					panic(crash{})
				}
			}
			h.up()
			id := h.litter(10, false).ID
			func() {
				defer func() {
					if got := recover(); got != (crash{}) {
						t.Errorf("recovered %v", got)
					}
				}()
				t.Error(remove(h, id))
			}()
			dir := filepath.Join(h.dir, "tasks", string(id))
			if _, err := os.Stat(dir); err != nil {
				t.Fatal(err)
			}
			h.hook = nil
			h.down()
			later := filepath.Join(h.dir, "tasks", "0190b5d8-0000-7000-8000-000000000001")  // another crash, after all but the folder had gone
			unborn := filepath.Join(h.dir, "tasks", "0190b5d8-0000-7000-8000-000000000002") // or before the commit of a submit and its start
			for _, dir := range []string{later, filepath.Join(unborn, "1")} {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			h.up()
			h.down() // the sweep is over
			for _, path := range []string{dir, later, unborn, filepath.Join(h.dir, "tasks", "aside")} {
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is there: %v", path, err)
				}
			}
		})
	}
}
