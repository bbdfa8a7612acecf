package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// crowd calls fn b.N times in all from n goroutines and reports the rate.
func crowd(b *testing.B, n int, fn func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := fn(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// benchRecord is a task as a submit makes it: 500 bytes of parameters.
func benchRecord() Record {
	params := append([]byte(`{"command":["`), make([]byte, 480)...)
	for i := range params {
		if params[i] == 0 {
			params[i] = 'x'
		}
	}
	return Record{Task: task.Task{
		Kind: "command", Title: "nightly build", Status: task.StatusPending, Phase: task.PhaseQueued,
		Params: append(params, `"]}`...), Queue: task.DefaultQueue, Owner: task.Owner{UID: 1000, Client: "durablectl"},
	}}
}

// BenchmarkBoltUpdate is the yardstick: one caller, one put of 500 bytes and an index entry, in a
// transaction of its own.
func BenchmarkBoltUpdate(b *testing.B) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bolt.db"), 0o600, boltOptions(0))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	crowd(b, 1, func(i int) error {
		return db.Update(func(tx *bbolt.Tx) error { return putBare(tx, i) })
	})
}

var bareName, bareIndex = []byte("bare"), []byte("bare_index")

func putBare(tx *bbolt.Tx, i int) error {
	bk, err := tx.CreateBucketIfNotExists(bareName)
	if err != nil {
		return err
	}
	idx, err := tx.CreateBucketIfNotExists(bareIndex)
	if err != nil {
		return err
	}
	bk.FillPercent, idx.FillPercent = fillPercent, fillPercent
	key := binary.BigEndian.AppendUint64(nil, uint64(i))
	if err := bk.Put(key, make([]byte, 500)); err != nil {
		return err
	}
	return idx.Put(append([]byte{1}, key...), nil)
}

// BenchmarkUpdateBare: the same two puts through the committer.
func BenchmarkUpdateBare(b *testing.B) {
	for _, n := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			s := openBench(b, b.TempDir())
			crowd(b, n, func(i int) error {
				return s.Update(context.Background(), Admission, func(tx *Tx) error {
					tx.writes++
					return putBare(tx.b, i)
				})
			})
		})
	}
}

// BenchmarkCreate: all that a submit writes: record, number, three indexes, event, idempotency key.
func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			s := openBench(b, b.TempDir())
			base := nextID([16]byte{}, time.Now())
			crowd(b, n, func(i int) error {
				rec := benchRecord()
				return s.Update(context.Background(), Admission, func(tx *Tx) error {
					key := fmt.Sprintf("1000/submit/%s", bump(base, uint64(i)))
					if err := tx.PutKey(key, KeyEntry{Hash: [32]byte{1}}, &rec); err != nil {
						return err
					}
					return tx.Create(&rec)
				})
			})
		})
	}
}

// BenchmarkTransition: pending to running to completed and so on, each a transaction of its own.
func BenchmarkTransition(b *testing.B) {
	s := openBench(b, b.TempDir())
	rec := benchRecord()
	if err := s.Update(context.Background(), Admission, func(tx *Tx) error { return tx.Create(&rec) }); err != nil {
		b.Fatal(err)
	}
	states := []task.State{{Status: task.StatusRunning, Phase: task.PhaseRunning}, {Status: task.StatusPending, Phase: task.PhaseQueued}}
	crowd(b, 1, func(i int) error {
		return s.Update(context.Background(), Essential, func(tx *Tx) error {
			cur, err := tx.Task(rec.Task.ID)
			if err != nil {
				return err
			}
			cur.Task.Status, cur.Task.Phase = states[i%2].Status, states[i%2].Phase
			return tx.Put(cur, task.EventStatus)
		})
	})
}

func BenchmarkCodec(b *testing.B) {
	rec := benchRecord()
	key := nextID([16]byte{}, time.Now())
	rec.Task.ID = formatID(key[:])
	rec.Task.RootID = rec.Task.ID
	rec.Task.CreatedAt, rec.Task.UpdatedAt = time.Now(), time.Now()
	r := stored{Record: rec}
	value := seal(key[:], recordFields.append(make([]byte, sealSize, 1024), &r))
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			seal(key[:], recordFields.append(make([]byte, sealSize, 1024), &r))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out stored
			body, _ := unseal(key[:], value)
			if err := recordFields.parse(body, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func openBench(b *testing.B, dir string) *Store {
	b.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}
