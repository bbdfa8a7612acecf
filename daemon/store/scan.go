package store

import "go.etcd.io/bbolt"

// scan walks one region of the tree. Keys come without the region's byte. Like bbolt's cursor, which it wraps, it is for one
// goroutine and one transaction.
type scan struct {
	cursor *bbolt.Cursor
	region region
	buf    []byte
}

func (tx *Tx) scan(r region) *scan { return &scan{cursor: tx.bucket().Cursor(), region: r} }

// Seek goes to the first key that is not below key.
func (s *scan) Seek(key []byte) (k, v []byte) {
	s.buf = append(append(s.buf[:0], byte(s.region)), key...)
	return s.forward(s.cursor.Seek(s.buf))
}

func (s *scan) First() (k, v []byte) { return s.Seek(nil) }
func (s *scan) Next() (k, v []byte)  { return s.forward(s.cursor.Next()) }
func (s *scan) Prev() (k, v []byte)  { return s.backward(s.cursor.Prev()) }

func (s *scan) Last() (k, v []byte) {
	if k, _ := s.cursor.Seek([]byte{byte(s.region) + 1}); k == nil {
		return s.backward(s.cursor.Last())
	}
	return s.Prev()
}

func (s *scan) forward(k, v []byte) ([]byte, []byte) {
	for s.inside(k) && !s.wanted(k) {
		k, v = s.cursor.Next()
	}
	return s.take(k, v)
}

func (s *scan) backward(k, v []byte) ([]byte, []byte) {
	for s.inside(k) && !s.wanted(k) {
		k, v = s.cursor.Prev()
	}
	return s.take(k, v)
}

func (s *scan) inside(k []byte) bool { return len(k) > 0 && region(k[0]) == s.region }

// wanted: the idempotency keys between the tasks are not.
func (s *scan) wanted(k []byte) bool { return s.region != rTasks || len(k) == 1+idSize }

func (s *scan) take(k, v []byte) ([]byte, []byte) {
	if !s.inside(k) {
		return nil, nil
	}
	return k[1:], v
}
