package training

import (
	"slices"

	"durable/ipc/task"
)

// vectors are those of many records, one behind the other.
type vectors struct {
	starts []int64
	places []int32
	values []float32
}

// maxValues bounds the memory: eight bytes each.
const maxValues = 64 << 20

func newVectors() *vectors { return &vectors{starts: []int64{0}} }

func (v *vectors) len() int { return len(v.starts) - 1 }

// add adds a vector, its places in order.
func (v *vectors) add(values map[int32]float32) {
	begin := len(v.places)
	for at := range values {
		v.places = append(v.places, at)
	}
	slices.Sort(v.places[begin:])
	for _, at := range v.places[begin:] {
		v.values = append(v.values, values[at])
	}
	v.starts = append(v.starts, int64(len(v.places)))
}

// at returns the vector of a record.
func (v *vectors) at(i int32) ([]int32, []float32) {
	from, to := v.starts[i], v.starts[i+1]
	return v.places[from:to], v.values[from:to]
}

// full is an error when there is no room for more.
func (v *vectors) full() error {
	if len(v.values) < maxValues {
		return nil
	}
	return task.Errorf(task.ResourceExhausted, "the data set does not fit into memory: %d records have %d values", v.len(), len(v.values)).
		WithHint("train on a part of it, chosen by the seed: dataset_size=%d", v.len()*9/10)
}

// batch is what one step of the training sees: the records' vectors side by side, but only those places that one of them has.
type batch struct {
	matrix  []float32 // size x width
	places  []int32   // width; those behind the last are 0, and so is what the matrix has there
	labels  []int32   // size
	weights []float32 // size: 0 behind the last record
	size    int
	width   int
	records int

	column map[int32]int32
}

// fill makes b of records. Widths are rounded up, so that there are few: the graph is compiled for each.
func (b *batch) fill(v *vectors, labels, records []int32, size int) {
	if b.column == nil {
		b.column = map[int32]int32{}
	}
	clear(b.column)
	b.places = b.places[:0]
	for _, i := range records {
		places, _ := v.at(i)
		for _, at := range places {
			if _, ok := b.column[at]; !ok {
				b.column[at] = 0
				b.places = append(b.places, at)
			}
		}
	}
	slices.Sort(b.places)
	for c, at := range b.places {
		b.column[at] = int32(c)
	}
	b.size, b.width, b.records = size, rounded(len(b.places)), len(records)
	b.places = zeroed(b.places, len(b.places), b.width)
	b.matrix = zeroed(b.matrix, 0, size*b.width)
	b.labels, b.weights = zeroed(b.labels, 0, size), zeroed(b.weights, 0, size)
	for row, i := range records {
		places, values := v.at(i)
		for j, at := range places {
			b.matrix[row*b.width+int(b.column[at])] = values[j]
		}
		b.weights[row] = 1
		if labels != nil {
			b.labels[row] = labels[i]
		}
	}
}

// zeroed returns s with n elements, zero from keep on.
func zeroed[T any](s []T, keep, n int) []T {
	s = slices.Grow(s[:keep], n-keep)[:n]
	clear(s[keep:])
	return s
}

// rounded is n rounded up to one of four steps between two powers of two.
func rounded(n int) int {
	step := 16
	for step*8 < n {
		step *= 2
	}
	return max(step, (n+step-1)/step*step)
}
