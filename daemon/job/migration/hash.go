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
	b := h.buf[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case missing:
			b = append(b, 'm')
		case int64:
			b = binary.LittleEndian.AppendUint64(append(b, 'i'), uint64(v))
		case float64:
			if math.IsNaN(v) {
				v = math.NaN() // there are many, and not every format keeps which
			}
			if n := int64(v); float64(n) == v && math.Abs(v) < 1<<63 {
				b = binary.LittleEndian.AppendUint64(append(b, 'i'), uint64(n))
			} else {
				b = binary.LittleEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
			}
		case bool:
			if v {
				b = append(b, 't')
			} else {
				b = append(b, 'u')
			}
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
		case document:
			b = append(binary.AppendUvarint(append(b, 'd'), uint64(len(v))), v...)
		case decimal:
			b = append(binary.AppendUvarint(append(b, 'c'), uint64(len(v))), v...)
		default:
			panic(fmt.Sprintf("migration: no hash for a %T", v))
		}
	}
	h.buf = b
	return xxhash.Sum64(b)
}
