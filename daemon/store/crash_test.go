package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"durable/ipc/task"
)

// What the test binary does instead of testing when these are set.
const (
	childEnv  = "DURABLE_STORE_CHILD"
	dirEnv    = "DURABLE_STORE_DIR"
	pointEnv  = "DURABLE_STORE_POINT" // the point at which it kills itself
	nthEnv    = "DURABLE_STORE_NTH"   // the how manyeth time it gets there
	childLoad = "load"
)

var children = map[string]func() error{childLoad: load}

func child(mode string) int {
	if err := children[mode](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func command(mode, dir string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+mode, dirEnv+"="+dir), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// load submits and checkpoints from several goroutines for ever and says what was acknowledged.
func load() error {
	nth, _ := strconv.Atoi(os.Getenv(nthEnv))
	var mu sync.Mutex
	s, err := Open(Options{Dir: os.Getenv(dirEnv), Hook: func(point string) {
		if point != os.Getenv(pointEnv) {
			return
		}
		if nth--; nth == 0 {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {} // nothing happens after the kill
		}
	}})
	if err != nil {
		return err
	}
	fail := make(chan error)
	for g := range 4 {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d/%d/%d", os.Getpid(), g, n)
				rec := noop()
				err := s.Update(context.Background(), Admission, func(tx *Tx) error {
					if err := tx.PutKey(key, KeyEntry{}, &rec); err != nil {
						return err
					}
					if err := tx.Create(&rec); err != nil {
						return err
					}
					return tx.PutCheckpoint(rec.Task.ID, []byte(key))
				})
				if err != nil {
					fail <- err
					return
				}
				mu.Lock()
				fmt.Printf("%s %d %s\n", rec.Task.ID, rec.Task.Number, key)
				mu.Unlock()
			}
		}()
	}
	return <-fail
}

// TestKillCreate: a store that was killed while it was made is made again, or is there.
func TestKillCreate(t *testing.T) {
	for _, point := range []string{PointCreateWritten, PointCreateRenamed} {
		dir := t.TempDir()
		acked := map[string]string{}
		killed(t, dir, []string{nthEnv + "=1", pointEnv + "=" + point}, 0, acked)
		if len(acked) > 0 {
			t.Errorf("killed at %s, and yet it went on", point)
		}
		verify(t, dir, acked)
	}
}

// TestKillMigrate: a store that was killed while it was migrated has all that was in it, and the file as it was before beside it.
func TestKillMigrate(t *testing.T) {
	for _, point := range []string{PointMigrateStep, PointMigrateKept, PointMigrateRenamed} {
		for _, nth := range []string{"1", "2"} {
			if nth == "2" && point != PointMigrateStep {
				continue // from schema 1 there are two steps
			}
			dir := t.TempDir()
			before := read(t, "testdata/schema1.db")
			write(t, filepath.Join(dir, storeFile), before)
			killed(t, dir, []string{nthEnv + "=" + nth, pointEnv + "=" + point}, 0, map[string]string{})
			s, err := Open(Options{Dir: dir})
			if err != nil {
				t.Fatalf("killed at %s: %v", point, err)
			}
			err = s.View(func(tx *Tx) error {
				if list, err := tx.List(task.ListQuery{Kind: "noop"}); err != nil || len(list.Tasks) != 4 {
					t.Errorf("killed at %s: %d tasks, %v", point, len(list.Tasks), err)
				}
				return consistent(t, tx)
			})
			if err = errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
			checkFile(t, dir)
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+tmpSuffix)); len(left) > 0 {
				t.Errorf("killed at %s: left behind: %v", point, left)
			}
			if string(read(t, migrationCopy(filepath.Join(dir, storeFile), 1))) != string(before) {
				t.Errorf("killed at %s: the copy is not the file as it was", point)
			}
		}
	}
}

// TestKill: a process is killed at each point and at random moments, over and over on the same store.
// What it had acknowledged is there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]string{}
	for round := range 21 {
		var env []string
		if point := round % 3; point < 2 {
			env = []string{nthEnv + "=" + strconv.Itoa(1+round), pointEnv + "=" + []string{PointCommitBefore, PointCommitSynced}[point]}
		}
		killed(t, dir, env, rand.IntN(300), acked)
		verify(t, dir, acked)
	}
	if len(acked) == 0 {
		t.Error("nothing was ever acknowledged: the test tests nothing")
	}
}

// killed runs the load until it is dead and collects what it said.
func killed(t *testing.T, dir string, env []string, killAfter int, acked map[string]string) {
	t.Helper()
	cmd := command(childLoad, dir, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for r := bufio.NewReader(out); ; lines++ {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		acked[id] = rest
		if lines == killAfter {
			_ = cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the load ended by itself: %v", cmd.ProcessState)
	}
}

func verify(t *testing.T, dir string, acked map[string]string) {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(func(tx *Tx) error {
		for id, rest := range acked {
			rec, err := tx.Task(task.ID(id))
			if err != nil {
				return err
			}
			data, err := tx.Checkpoint(rec.Task.ID)
			if err != nil {
				return err
			}
			if got := fmt.Sprintf("%d %s", rec.Task.Number, data); got != rest {
				t.Errorf("task %s: acknowledged %q, have %q", id, rest, got)
			}
			if e, ok, err := tx.Key(string(data)); !ok || err != nil || e.TaskID != rec.Task.ID {
				t.Errorf("key %s: %+v %v %v", data, e, ok, err)
			}
		}
		return consistent(t, tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, dir)
}

// consistent holds the indexes and counters to the records.
func consistent(t *testing.T, tx *Tx) error {
	t.Helper()
	want := map[region]int{}
	var counts [statusCount]int64
	c := tx.scan(rTasks)
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		var r stored
		key := [16]byte(k)
		if err := tx.load(key, &r); err != nil {
			return err
		}
		counts[statusBytes[r.Task.Status]]++
		for _, x := range indexes {
			ik := x.key(nil, key, &r)
			if ik == nil {
				continue
			}
			want[x.region]++
			if v := tx.get(x.region, ik); v == nil || string(v) != string(x.value(&r)) {
				t.Errorf("task %d is not in index %s", r.Task.Number, x.region)
			}
		}
	}
	got := map[region]int{}
	for _, x := range indexes {
		s := tx.scan(x.region)
		for k, _ := s.First(); k != nil; k, _ = s.Next() {
			got[x.region]++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("indexes have %v entries, want %v", got, want)
	}
	if st := tx.state(); st.Counts != counts || st.Ready != int64(want[rReady]) {
		t.Errorf("counters %+v, want %v and %d ready", st, counts, want[rReady])
	}
	return nil
}

// TestPowerCut: pages that were written but not synced may be on disk or not, in any mixture. Whichever it
// is, the store is the one before the commit; with all of them and the meta page, the one after.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	var before, after []byte
	s := openTest(t, Options{Dir: dir, Hook: func(point string) {
		switch point {
		case PointCommitBefore:
			before = read(t, filepath.Join(dir, storeFile))
		case PointCommitSynced:
			after = read(t, filepath.Join(dir, storeFile))
		}
	}})
	for n := 1; n <= 30; n++ {
		if _, err := create(s, Admission); err != nil {
			t.Fatal(err)
		}
		if n%3 != 0 {
			continue
		}
		const page = 4096
		mixed := bytes.Clone(after)
		copy(mixed, before[:min(len(before), len(after))])
		for at := 2 * page; at < len(after); at += page {
			if rand.IntN(2) == 0 {
				copy(mixed[at:at+page], after[at:at+page])
			}
		}
		cutOff(t, dir, mixed, n-1)
		cutOff(t, dir, after, n)
	}
}

// cutOff opens a store whose file is image.
func cutOff(t *testing.T, dir string, image []byte, want int) {
	t.Helper()
	cut := t.TempDir()
	write(t, filepath.Join(cut, storeFile), image)
	write(t, filepath.Join(cut, markerFile), read(t, filepath.Join(dir, markerFile)))
	s, err := Open(Options{Dir: cut, Reserve: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := countTasks(t, s); n != want {
		t.Errorf("%d tasks, want %d", n, want)
	}
	if err := s.View(func(tx *Tx) error { return consistent(t, tx) }); err != nil {
		t.Error(err)
	}
}
