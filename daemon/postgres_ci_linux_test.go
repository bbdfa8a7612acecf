//go:build linux && ci

package daemon_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/daemon/job/migration/pgtest"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// How the migration into PostgreSQL is troubled.
const (
	pgRows        = 1_000_000
	pgDaemonKills = 20
	pgServerKills = 5
)

// TestCIPostgresKills moves a million rows into PostgreSQL while the daemon is killed 20 times and the server 5 times,
// at random moments of the copy: no row is lost, none is there twice.
func TestCIPostgresKills(t *testing.T) {
	server, dir := pgtest.Own(t), shortDir(t)
	rows := makeRows(pgRows)
	source := filepath.Join(dir, "rows.csv")
	writeCSV(t, source, rows)
	p := durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("the daemon does not start:\n%s", p.stderr.String())
	}
	params, err := json.Marshal(map[string]any{"source_path": source, "destination_path": server.URL("postgres"),
		"destination_password": pgtest.Password, "batch_size": 2000,
		"rate_limit": 20_000, // else a fast machine is at the end before all kills
	})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(dir, client.Options{})
	made, err := c.Submit(t.Context(), task.Spec{Kind: "data_migration", Params: params}, "")
	closeClient(c)
	if err != nil {
		t.Fatal(err)
	}
	kills := make([]bool, pgDaemonKills+pgServerKills) // true: the server's turn
	for i := range pgServerKills {
		kills[i*len(kills)/pgServerKills+1] = true
	}
	for i, ofServer := range kills {
		before := copying(t, dir, made.ID)
		moment := time.Duration(20+rand.IntN(180)) * time.Millisecond
		t.Logf("kill %d (server: %t) %s after %d records", i+1, ofServer, moment, before)
		time.Sleep(moment) // a random moment is what is wanted, not a state
		if ofServer {
			server.Kill()
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		p.kill()
		if p = durabled(t, dir); !p.listens(dir) {
			t.Fatalf("the daemon does not start:\n%s", p.stderr.String())
		}
	}
	end := ended(t, dir, made.ID)
	if end.Status != task.StatusCompleted {
		t.Fatalf("ended %s: %v", end.Status, end.Error)
	}
	t.Logf("completed in attempt %d: %s", end.Attempt, end.Result)
	all := md5.New()
	for _, row := range rows {
		one := md5.Sum([]byte(strings.Join(row, "|")))
		_, _ = all.Write([]byte(hex.EncodeToString(one[:]))) // a hash takes all
	}
	want := fmt.Sprintf("%d|%d|%x\n", pgRows, pgRows, all.Sum(nil))
	got := server.Query(t, "postgres", `select count(*), count(distinct id),
		md5(string_agg(md5(concat_ws('|', id, code, name, amount, note, day)), '' order by id)) from rows`)
	if got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	if left := server.Query(t, "postgres", "select to_regclass('_durable_position')"); left != "<NULL>\n" {
		t.Errorf("the position was left: %s", left)
	}
}

// copying waits until an attempt has moved on from where it began, so that it has a new checkpoint: three interruptions
// without one would pause the task. It returns how far it is. The test fails if the task has ended.
func copying(t *testing.T, dir string, id task.ID) int64 {
	t.Helper()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	var seen []int64
	polltest.Until(t, 2*patience, func() error {
		got, err := c.Get(t.Context(), id.Ref())
		if err != nil {
			return err // the daemon is just there again
		}
		if got.Status.Terminal() {
			t.Fatalf("ended before all kills: %s %v", got.Status, got.Error)
		}
		if got.Phase == task.PhasePaused {
			if _, err := c.Resume(t.Context(), id.Ref(), ""); err != nil {
				t.Log(err)
			}
		}
		if n := len(seen); n == 0 || got.Progress.Done > seen[n-1] {
			seen = append(seen, got.Progress.Done)
		}
		if len(seen) < 4 { // what was stored, what the attempt found, and what it made of it
			return fmt.Errorf("no progress beyond %v", seen)
		}
		return nil
	})
	return seen[3]
}

// ended waits for a task's end.
func ended(t *testing.T, dir string, id task.ID) task.Task {
	t.Helper()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	var got task.Task
	polltest.Until(t, 5*patience, func() (err error) {
		if got, err = c.Get(t.Context(), id.Ref()); err == nil && !got.Status.Terminal() {
			err = fmt.Errorf("the migration is %s", got.Status)
		}
		return err
	})
	return got
}
