//go:build linux && ci

package daemon_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// How the migrations into files are troubled.
const (
	fileRows = 1_000_000
	// copyKills are spread over the copy, verifyKills over what comes after it.
	copyKills, verifyKills = 17, 3
	// killRate spares no database: without it a fast machine is at the end before the kills are.
	killRate = 60_000
)

// TestCIFileKills moves a million rows into each kind of file while the daemon is killed 20 times, at random moments
// from the first record copied to the last one verified: no row is lost, none is there twice.
func TestCIFileKills(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "rows.csv")
	writeCSV(t, source, makeRows(fileRows))
	for _, name := range []string{"rows.db", "rows.csv", "rows.parquet", "rows.jsonl"} {
		t.Run(strings.TrimPrefix(filepath.Ext(name), "."), func(t *testing.T) {
			t.Parallel()
			destination := filepath.Join(t.TempDir(), name)
			fileKills(t, source, destination)
			if filepath.Ext(name) == ".db" { // the position goes after the task's end
				polltest.True(t, patience, "the table of positions is gone", func() bool { return tablesOf(destination) == table })
			}
			if err := holdsRows(destination, fileRows); err != nil {
				t.Error(err)
			}
			// The folder holds what was asked for, and nothing that the dead ones left.
			left, err := os.ReadDir(filepath.Dir(destination))
			if err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// fileKills does one migration, and kills the daemon under it.
func fileKills(t *testing.T, source, destination string) {
	home, seed := shortDir(t), uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	// A moment is a number of records copied, or, above all of them, verified.
	var moments []int64
	for range copyKills {
		moments = append(moments, rng.Int64N(fileRows))
	}
	for range verifyKills {
		moments = append(moments, fileRows+rng.Int64N(fileRows*3/4))
	}
	slices.Sort(moments)
	t.Logf("seed %d: kills after %d", seed, moments)
	p := durabled(t, home)
	c := dial(home, client.Options{DialRetry: client.Forever})
	defer closeClient(c)
	made, err := c.Submit(t.Context(), task.Spec{Kind: "data_migration", Params: mustJSON(map[string]any{
		"source_path": source, "destination_path": destination, "rate_limit": killRate})}, "")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, moment := range moments {
		if !reached(t, c, made.ID, moment) {
			break
		}
		time.Sleep(time.Duration(rng.Int64N(int64(100 * time.Millisecond)))) // progress comes in steps; the kill does not
		p.kill()
		killed++
		p = durabled(t, home)
	}
	reached(t, c, made.ID, math.MaxInt64) // it ends
	end, err := c.Get(t.Context(), made.ID.Ref())
	if err != nil {
		t.Fatal(err)
	}
	if end.Status != task.StatusCompleted || killed < copyKills {
		t.Fatalf("ended %s after %d kills: %v", end.Status, killed, end.Error)
	}
	t.Logf("%d kills, completed in attempt %d: %s", killed, end.Attempt, end.Result)
}

// reached waits until so many records are copied and verified. It reports false if the task has ended. A daemon that
// died three times without a new checkpoint has paused the task: a person would say resume, and so does this.
func reached(t *testing.T, c *client.Client, id task.ID, moment int64) bool {
	t.Helper()
	ended := false
	polltest.True(t, 3*patience, "the migration has come as far as its kill, or has ended", func() bool {
		now, err := c.Get(t.Context(), id.Ref())
		if err != nil {
			return false
		}
		if now.Phase == task.PhasePaused {
			if _, err := c.Resume(t.Context(), id.Ref(), ""); err != nil {
				t.Log(err)
			}
		}
		ended = now.Status.Terminal()
		return ended || now.Phase == task.PhaseRunning && done(now.Progress) >= moment
	})
	return !ended
}

// done counts the records copied and those verified.
func done(p task.Progress) int64 {
	var verified int64
	if _, text, ok := strings.Cut(p.Message, "records, "); ok {
		_, _ = fmt.Sscanf(text, "%d verified", &verified) // another text: none was
	}
	return p.Done + verified
}
