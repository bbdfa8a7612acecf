package store

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

var updateGolden = flag.Bool("update", false, "write the golden files and the fixture of this schema")

// everything makes a store that has something in each region.
func everything(t *testing.T, dir string) {
	t.Helper()
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	s := openTest(t, Options{Dir: dir, Now: func() time.Time { return now }})
	err := s.Update(context.Background(), Essential, func(tx *Tx) error {
		var recs []Record
		for _, st := range []task.State{
			{Status: task.StatusPending, Phase: task.PhaseQueued}, {Status: task.StatusPending, Phase: task.PhaseRetryWait},
			{Status: task.StatusRunning, Phase: task.PhaseRunning}, {Status: task.StatusCompleted}, {Status: task.StatusFailed},
			{Status: task.StatusPending, Phase: task.PhasePaused},
		} {
			rec := noop()
			rec.Task.Status, rec.Task.Phase, rec.Task.NextAttemptAt = st.Status, st.Phase, &now
			rec.Task.Params = []byte(`{"duration":"1s"}`)
			if st.Status.Terminal() {
				rec.Task.CompletedAt, rec.CleanPending = &now, true
				rec.Task.RetryOf, rec.Task.RootID = recs[0].Task.ID, recs[0].Task.ID
				rec.Task.Params = bytes.Repeat([]byte("1"), 2*paramsInline)
			}
			name := fmt.Sprintf("1000/submit/%d", len(recs))
			if err := tx.PutKey(name, KeyEntry{Hash: [32]byte{7}}, &rec); err != nil {
				return err
			}
			if err := tx.Create(&rec); err != nil {
				return err
			}
			recs = append(recs, rec)
		}
		if err := tx.PutCheckpoint(recs[2].Task.ID, []byte(`{"row":17}`)); err != nil {
			return err
		}
		if err := tx.PutSecrets(recs[2].Task.ID, []byte(`{"password":"x"}`)); err != nil {
			return err
		}
		if err := tx.Delete(recs[4].Task.ID); err != nil {
			return err
		}
		asked := noop() // of a kind of its own: the schemas before did not have it
		asked.Task.Kind, asked.Task.Phase = "asked", task.PhaseAwaitingApproval
		asked.Task.Approval = &task.Approval{AskedAt: now, ExpiresAt: now}
		if err := tx.PutKey(timedKey, KeyEntry{Hash: [32]byte{7}}, &asked); err != nil {
			return err
		}
		if err := tx.Create(&asked); err != nil {
			return err
		}
		key, _ := key16(recs[5].Task.ID)
		return tx.quarantine(map[uuid.UUID]string{key: "a drill"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// timedKey is a key as clients make them up.
const timedKey = "1000/submit/019ab1c0-7c00-7000-8000-000000000001"

// dump draws what is in a file: each region, and the shapes of its keys and values.
func dump(t *testing.T, path string) string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var shapes []string
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				shapes = append(shapes, fmt.Sprintf("%s/%s\n", name, shapeOf(string(name), k, v)))
				return nil
			})
		})
	})
	return strings.Join(slices.Compact(shapes), "")
}

func shapeOf(bucket string, k, v []byte) string {
	shape, key := string(k), k
	if bucket == string(bucketTree) {
		key = k[1:]
		shape = fmt.Sprintf("%d %s %d bytes", k[0], region(k[0]), len(key))
		switch r := region(k[0]); {
		case r == rKeys:
			shape = fmt.Sprintf("%d %s %s", r, r, key)
		case r == rTasks && len(key) > idSize: // the checksum is over the name as it was given
			rest, id := string(key[idSize:]), key[:idSize]
			shape = fmt.Sprintf("%d %s UUID %s", r, r, rest)
			key = []byte(rest + string(formatID(id)))
		}
	}
	switch _, err := unseal(key, bytes.Clone(v)); {
	case len(v) == 0:
		return shape + ": none"
	case err == nil:
		return shape + ": sealed"
	}
	return shape + ": raw"
}

// TestSchemaGolden: what is written is what is drawn. Run with -update after a change of the schema, which
// needs a new schemaVersion and a migration.
func TestSchemaGolden(t *testing.T) {
	dir := t.TempDir()
	everything(t, dir)
	got := dump(t, filepath.Join(dir, storeFile))
	golden := filepath.Join("testdata", fmt.Sprintf("schema%d.golden", schemaVersion))
	fixture := filepath.Join("testdata", fmt.Sprintf("schema%d.db", schemaVersion))
	if *updateGolden {
		write(t, golden, []byte(got))
		if _, err := os.Stat(fixture); err != nil {
			shrink(t, filepath.Join(dir, storeFile), fixture)
		}
	}
	if want := string(read(t, golden)); got != want {
		t.Errorf("dump differs from %s:\n%s", golden, got)
	}
	source := string(read(t, "schema.go"))
	for r := rEvents; r < regionEnd; r++ {
		if drawn := regexp.MustCompile(fmt.Sprintf(`(?m)^//\t    %d .*\b%s\b`, r, r)); !drawn.MatchString(source) {
			t.Errorf("%d %s is not drawn", r, r)
		}
		if !strings.Contains(got, fmt.Sprintf("tree/%d %s", r, r)) {
			t.Errorf("the test puts nothing into %s", r)
		}
	}
	for _, key := range [][]byte{keySchema, keyStore, keyEpoch, keyWriter, keyState, keyBackup} {
		if !strings.Contains(source, "//	    "+string(key)+" ") {
			t.Errorf("meta key %s is not drawn", key)
		}
	}
}

// shrink writes a compact copy for testdata.
func shrink(t *testing.T, from, to string) {
	t.Helper()
	if err := rewrite(context.Background(), from, to, edit{}); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(to, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var used int64
	_ = db.View(func(tx *bbolt.Tx) error { used = tx.Size(); return nil })
	_ = db.Close()
	if err := os.Truncate(to, used); err != nil {
		t.Fatal(err)
	}
}

// TestFixtures: a file of every released schema opens and has all that was in it.
func TestFixtures(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/schema*.db")
	if err != nil || len(fixtures) != schemaVersion {
		t.Fatalf("%v, %v: want one for each of %d schemas", fixtures, err, schemaVersion)
	}
	for _, fixture := range fixtures {
		dir := t.TempDir()
		write(t, filepath.Join(dir, storeFile), read(t, fixture))
		s := openTest(t, Options{Dir: dir})
		err := s.View(func(tx *Tx) error {
			list, err := tx.List(task.ListQuery{Kind: "noop"})
			if err != nil {
				return err
			}
			if len(list.Tasks) != 4 || list.Tasks[1].Status != task.StatusRunning || list.Tasks[1].Checkpoint == nil || len(list.Tasks[0].Params) != 2*paramsInline {
				t.Errorf("%s: tasks %+v", fixture, list.Tasks)
			}
			events, err := tx.Events(task.CursorStart, 100)
			if len(events) < 7 {
				t.Errorf("%s: %d events", fixture, len(events))
			}
			if data, _ := tx.Secrets(list.Tasks[1].ID); len(data) == 0 {
				t.Errorf("%s: no secrets", fixture)
			}
			if _, ok, _ := tx.Key("1000/submit/4"); !ok {
				t.Errorf("%s: no key", fixture)
			}
			for _, want := range list.Tasks {
				if id, _ := tx.Resolve(task.Ref(fmt.Sprint(want.Number))); id != want.ID {
					t.Errorf("%s: number %d is %s, want %s", fixture, want.Number, id, want.ID)
				}
			}
			if queue, _ := tx.Ready(100); len(queue) != 1 {
				t.Errorf("%s: queue %v", fixture, queue)
			}
			return errors.Join(err, consistent(t, tx))
		})
		if err != nil {
			t.Errorf("%s: %v", fixture, err)
		}
		if q := s.Info().Quarantined; len(q) != 1 {
			t.Errorf("%s: quarantined %q", fixture, q)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		golden := string(read(t, fmt.Sprintf("testdata/schema%d.golden", schemaVersion)))
		for line := range strings.Lines(dump(t, filepath.Join(dir, storeFile))) {
			if !strings.Contains(golden, line) {
				t.Errorf("%s: once it is migrated, it has what is not written anew: %s", fixture, line)
			}
		}
	}
}
