package store

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// scan walks one region of the tree. Keys come without the region's byte. Like bbolt's cursor, which it wraps, it is for one
// goroutine and one transaction.
type scan struct {
	cursor *bbolt.Cursor
	region region
	buf    []byte
	at     []byte // where the cursor stands; in an update only
}

func (tx *Tx) scan(r region) *scan { return &scan{cursor: tx.bucket().Cursor(), region: r} }

// Seek goes to the first key that is not below key.
func (s *scan) Seek(key []byte) (k, v []byte) {
	s.buf = append(append(s.buf[:0], byte(s.region)), key...)
	return s.forward(s.seek(s.buf))
}

func (s *scan) First() (k, v []byte) { return s.Seek(nil) }
func (s *scan) Next() (k, v []byte)  { return s.forward(s.next()) }
func (s *scan) Prev() (k, v []byte)  { return s.backward(s.prev()) }

func (s *scan) Last() (k, v []byte) {
	if k, _ := s.seek([]byte{byte(s.region) + 1}); k == nil {
		return s.backward(s.stand(s.cursor.Last()))
	}
	return s.Prev()
}

func (s *scan) forward(k, v []byte) ([]byte, []byte) {
	for s.inside(k) && !s.wanted(k) {
		k, v = s.next()
	}
	return s.take(k, v)
}

func (s *scan) backward(k, v []byte) ([]byte, []byte) {
	for s.inside(k) && !s.wanted(k) {
		k, v = s.prev()
	}
	return s.take(k, v)
}

func (s *scan) inside(k []byte) bool { return len(k) > 0 && region(k[0]) == s.region }

// wanted: the idempotency keys between the tasks are not, nor is what is too short to be what it should.
func (s *scan) wanted(k []byte) bool {
	n := len(k) - 1
	return n >= shortest[s.region] && (s.region != rTasks || n == idSize)
}

// shortest is how many bytes a key has at least, without the region's.
var shortest = [regionEnd]int{
	rEvents: 8, rParams: idSize, rCheckpoints: idSize, rSecrets: idSize, rExpiring: 8, rByKind: 2 + idSize, rByRoot: idSize,
	rByEnd: 9 + idSize, rDue: 8 + idSize, rUnclean: idSize, rAsking: idSize, rTasks: idSize, rReady: 2 + idSize, rQuarantine: idSize,
}

func (s *scan) take(k, v []byte) ([]byte, []byte) {
	if !s.inside(k) {
		return nil, nil
	}
	return k[1:], v
}

func (s *scan) seek(key []byte) (k, v []byte) { return s.stand(s.cursor.Seek(key)) }
func (s *scan) next() (k, v []byte)           { return s.stand(s.cursor.Next()) }

// prev is bbolt's, which answers nil not only at the beginning, but also at a leaf that this transaction has emptied.
func (s *scan) prev() (k, v []byte) {
	k, v = s.cursor.Prev()
	if k == nil && s.cursor.Bucket().Writable() {
		first, _ := s.cursor.Bucket().Cursor().First()
		for k == nil && first != nil && bytes.Compare(first, s.at) < 0 {
			k, v = s.cursor.Prev()
		}
	}
	return s.stand(k, v)
}

// stand remembers where the cursor is.
func (s *scan) stand(k, v []byte) ([]byte, []byte) {
	if s.cursor.Bucket().Writable() {
		s.at = append(s.at[:0], k...)
	}
	return k, v
}
