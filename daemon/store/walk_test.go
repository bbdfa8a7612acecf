package store

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// TestWalkParts: the parts of a walk join and leave no key out, whatever the keys are.
func TestWalkParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	fixed := func(n int) func(int) []byte {
		return func(i int) []byte { return append(make([]byte, n), byte(i)) }
	}
	for name, key := range map[string]func(i int) []byte{
		"all alike but the end": fixed(40),
		"one byte":              func(i int) []byte { return []byte{byte(i)} },
		"rising":                func(i int) []byte { return binary.BigEndian.AppendUint64([]byte{1}, uint64(i)) },
		"one far away": func(i int) []byte {
			return binary.BigEndian.AppendUint64([]byte{13}, uint64(i)<<(i%2*40))
		},
		"random": func(int) []byte {
			k := make([]byte, 1+rnd.IntN(30))
			for i := range k {
				k[i] = byte(rnd.UintN(4) * 85)
			}
			return k
		},
	} {
		for _, n := range []int{0, 1, 2, 3, 200, 3000} {
			db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("b"))
				for i := 0; i < n && err == nil; i++ {
					err = b.Put(key(i), []byte{1})
				}
				return err
			})
			err = errors.Join(err, db.View(func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("b"))
				w, err := newBucketWalk([]byte("b"), b)
				if err != nil {
					return err
				}
				for i := range w.parts {
					if err := w.part(tx, i); err != nil {
						return err
					}
				}
				if err := w.joined(); err != nil {
					return err
				}
				if got, want := w.keys.Load(), int64(b.Stats().KeyN); got != want {
					t.Errorf("%s, %d: %d keys, want %d", name, n, got, want)
				}
				if n == 3000 && len(w.parts) > 2 { // a part that ends too early is seen
					w.parts[len(w.parts)/2].next = []byte("elsewhere")
					if w.joined() == nil {
						t.Errorf("%s: parts that do not join are not seen", name)
					}
				}
				file, err := os.Open(db.Path())
				if err != nil {
					return err
				}
				defer file.Close()
				return walk(tx, file)
			}), db.Close())
			if err != nil {
				t.Errorf("%s, %d: %v", name, n, err)
			}
		}
	}
}
