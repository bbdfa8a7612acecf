package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"
)

// walk visits every page and every key of a file. It goes in parts beside each other: a transaction is for one goroutine, so each has
// its own.
func walk(b *bbolt.Tx, file io.ReaderAt) error {
	page := b.DB().Info().PageSize
	branches := &branches{file: file, size: page, pages: uint64(b.Size()) / uint64(page)}
	if err := branches.check(b); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var walks []*bucketWalk
	err := b.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
		w, err := newBucketWalk(name, bucket)
		walks = append(walks, w)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range walks {
		for i := range w.parts {
			group.Go(func() error {
				return contain(func() error { return b.DB().View(func(b *bbolt.Tx) error { return w.part(b, i) }) })
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, w := range walks {
		if err := w.joined(); err != nil {
			return err
		}
	}
	return nil
}

// bucketWalk is the walk of one bucket.
type bucketWalk struct {
	name  []byte
	parts []part
	keys  atomic.Int64  // that were visited
	sum   atomic.Uint32 // of the last bytes of all values: reading them is the point
}

// part is the keys from one on, up to where the next part begins.
type part struct {
	from        []byte // nil: from the first one on
	first, next []byte // what was found: the first key, and the first one that is the next part's; nil: there is none
}

// partsOfRegion is into how many parts a region is split: the parts of a region that has nearly everything have to keep all
// processors busy.
const partsOfRegion = 8

// newBucketWalk splits a bucket so that the parts take about equally long: keys that begin with the same byte are split evenly between
// the first and the last of them. Where a file is damaged, a key that is sought may be before the one that it was sought from.
func newBucketWalk(name []byte, b *bbolt.Bucket) (*bucketWalk, error) {
	w := &bucketWalk{name: bytes.Clone(name), parts: []part{{}}}
	c := b.Cursor()
	for k, _ := c.First(); k != nil; {
		if len(k) == 0 {
			return nil, w.disorder()
		}
		first, next, last := bytes.Clone(k), []byte(nil), []byte(nil)
		if k[0] < 0xff {
			next, _ = c.Seek([]byte{k[0] + 1})
			next = bytes.Clone(next)
		}
		switch {
		case next == nil:
			last, _ = c.Last()
		case bytes.Compare(next, first) <= 0:
			return nil, w.disorder()
		default:
			last, _ = c.Prev()
		}
		w.parts = append(w.parts, between(first, last)...)
		if k = next; k != nil {
			w.parts = append(w.parts, part{from: next})
		}
	}
	return w, nil
}

// between returns parts that begin between two keys of one region.
func between(first, last []byte) (parts []part) {
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	low, high := number(first[n:]), number(last[n:])
	for i := range uint64(partsOfRegion - 1) {
		from := binary.BigEndian.AppendUint64(bytes.Clone(first[:n]), low+(high-low)/partsOfRegion*(i+1))
		parts = append(parts, part{from: from})
	}
	return parts
}

// number reads the first bytes of a key.
func number(key []byte) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// part visits one.
func (w *bucketWalk) part(b *bbolt.Tx, i int) error {
	p := &w.parts[i]
	var to []byte
	if i+1 < len(w.parts) {
		to = w.parts[i+1].from
	}
	c := b.Bucket(w.name).Cursor()
	k, v := c.First()
	if p.from != nil {
		k, v = c.Seek(p.from)
	}
	p.first = bytes.Clone(k)
	var prev []byte
	var keys int64
	var sum uint32
	for ; k != nil && (to == nil || bytes.Compare(k, to) < 0); k, v = c.Next() {
		if prev != nil && bytes.Compare(prev, k) >= 0 {
			return w.disorder()
		}
		if len(v) > 0 {
			sum += uint32(v[len(v)-1])
		}
		keys++
		prev = k
	}
	p.next = bytes.Clone(k)
	w.keys.Add(keys)
	w.sum.Add(sum)
	return nil
}

// joined reports whether each part ended where the next one began: else there are pages that none has seen.
func (w *bucketWalk) joined() error {
	for i := range w.parts {
		var first []byte
		if i+1 < len(w.parts) {
			first = w.parts[i+1].first
		}
		if !bytes.Equal(w.parts[i].next, first) {
			return w.disorder()
		}
	}
	return nil
}

func (w *bucketWalk) disorder() error {
	return fmt.Errorf("%w: keys of %s are out of order", errDamaged, w.name)
}
