package migration

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
)

// digest stands for the content of a set of records: how many there are and the sum of their hashes.
// A sum does not depend on the order, can be carried on by the next attempt, and has a difference: what
// was appended is what is there now, less what was there before.
type digest struct {
	Records int64  `json:"records"`
	Sum     uint64 `json:"sum,string"`
}

func (d *digest) add(hash uint64) {
	d.Records++
	d.Sum += hash
}

func (d digest) plus(o digest) digest  { return digest{d.Records + o.Records, d.Sum + o.Sum} }
func (d digest) minus(o digest) digest { return digest{d.Records - o.Records, d.Sum - o.Sum} }

func (d digest) String() string { return fmt.Sprintf("xxh64-sum:%016x", d.Sum) }

// hasher hashes records. It keeps a buffer: one goroutine each.
type hasher struct{ buf []byte }

// row returns the hash of a record as the destination gives it back. Each value is told apart by its
// type and length. A float without a fraction is the integer: JSON and SQLite do not tell them apart.
func (h *hasher) row(row []value) uint64 {
	h.values(row)
	return h.sum()
}

func (h *hasher) values(row []value) {
	h.begin()
	for _, v := range row {
		h.value(v)
	}
}

// begin, a call for each value, and sum are row for one who has no values.
func (h *hasher) begin()      { h.buf = h.buf[:0] }
func (h *hasher) sum() uint64 { return xxhash.Sum64(h.buf) }

func (h *hasher) value(v value) {
	switch v := v.(type) {
	case nil:
		h.null()
	case missing:
		h.buf = append(h.buf, 'm')
	case int64:
		h.integer(v)
	case float64:
		h.float(v)
	case bool:
		h.boolean(v)
	case string:
		h.buf = append(binary.AppendUvarint(append(h.buf, 's'), uint64(len(v))), v...)
	case []byte:
		h.bytes('b', v)
	case document:
		h.buf = append(binary.AppendUvarint(append(h.buf, 'd'), uint64(len(v))), v...)
	case decimal:
		h.buf = append(binary.AppendUvarint(append(h.buf, 'c'), uint64(len(v))), v...)
	default:
		panic(fmt.Sprintf("migration: no hash for a %T", v))
	}
}

func (h *hasher) null() { h.buf = append(h.buf, 'n') }

func (h *hasher) integer(n int64) {
	h.buf = binary.LittleEndian.AppendUint64(append(h.buf, 'i'), uint64(n))
}

func (h *hasher) float(f float64) {
	if math.IsNaN(f) {
		f = math.NaN() // there are many, and not every format keeps which
	}
	if n := int64(f); float64(n) == f && math.Abs(f) < 1<<63 {
		h.integer(n)
		return
	}
	h.buf = binary.LittleEndian.AppendUint64(append(h.buf, 'f'), math.Float64bits(f))
}

func (h *hasher) boolean(b bool) {
	if b {
		h.buf = append(h.buf, 't')
	} else {
		h.buf = append(h.buf, 'u')
	}
}

// text and decimal are value for a string and a decimal of these bytes.
func (h *hasher) text(b []byte)    { h.bytes('s', b) }
func (h *hasher) decimal(b []byte) { h.bytes('c', b) }

func (h *hasher) bytes(kind byte, b []byte) {
	h.buf = append(binary.AppendUvarint(append(h.buf, kind), uint64(len(b))), b...)
}
