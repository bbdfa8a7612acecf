package migration

import "math"

// The short way: from the cells of a text file to what the destination is sent, with no value between and nothing
// allocated for each. It is for what most records are; of the rules there is one set only, that of the long way
// (caster, convert, normal), which each record takes that the short way does not know.

// cellReader is a reader of which the records are text.
type cellReader interface {
	// chosen returns the chosen cells of the next record, and the errors of read. They are good until the next call.
	chosen() ([][]byte, error)
}

// direct is a sink with a short way.
type direct interface {
	// shorts reports whether it has one for its columns.
	shorts() bool
	// cells adds a record to b and to h, which has begun. It returns false, and has left b as it was, for what it does not know.
	cells(b *batch, h *hasher, cells [][]byte) bool
	// add adds to b a record that has taken the long way.
	add(b *batch, row []value)
}

// shorten finds out whether there is a short way.
func (p *producer) shorten() {
	cells, isText := p.r.(cellReader)
	d, ok := p.sink.(direct)
	if !isText || !ok || !d.shorts() {
		return
	}
	p.cells, p.direct, p.row = cells, d, make([]value, len(p.st.Columns))
	if p.m.p.BatchSize == nil {
		p.most = math.MaxInt // a batch is as large as batchBytes
	}
}

// nextCells is next by the short way.
func (p *producer) nextCells(b *batch) error {
	cells, err := p.cells.chosen()
	if err = p.counted(b, err); err != nil {
		return err
	}
	p.hash.begin()
	if p.direct.cells(b, &p.hash, cells) {
		return nil
	}
	for i, c := range cells {
		p.row[i] = string(c)
	}
	if err := p.convert(p.row); err != nil {
		p.keep(err, p.row)
		return err
	}
	p.direct.add(b, p.row)
	return nil
}
