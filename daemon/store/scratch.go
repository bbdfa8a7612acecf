package store

// scratch is what the writes of a transaction use one after the other; it is much of a submit's garbage otherwise.
type scratch struct {
	values     []byte // see encode
	cur        stored // see store
	from, into [96]byte
}

// valuesChunk is the room for values that is allocated at once, and valueRoom what must be left of it for one more; a longer value
// is moved out by append.
const (
	valuesChunk = 8 << 10
	valueRoom   = 512
)

// encode returns v in its sealed form. It lies beside the transaction's other values, since bbolt wants them to stay until the commit.
func encode[T any](tx *Tx, key []byte, m message[T], v *T) []byte {
	if cap(tx.values)-len(tx.values) < valueRoom {
		size := valuesChunk
		if tx.values == nil {
			size = 2 * valueRoom // enough for a submit
		}
		tx.values = make([]byte, 0, size)
	}
	start := len(tx.values)
	tx.values = m.append(append(tx.values, make([]byte, sealSize)...), v)
	value := tx.values[start:len(tx.values):len(tx.values)]
	if cap(tx.values) > valuesChunk { // a large one: the next must not be in its way when it grows
		tx.values = nil
	}
	return seal(key, value)
}
