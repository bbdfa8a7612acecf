package migration

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// The short way of parquetSink: a batch is the text of its cells, of which the library's values are made column by
// column when it is written. A cell without text is NULL, except in a column of text.

// shortTypes reports whether the short way knows the types.
func shortTypes(cols []column) bool {
	return !slices.ContainsFunc(cols, func(c column) bool {
		return c.Type != typeInteger && c.Type != typeReal && c.Type != typeBoolean && c.Type != typeText
	})
}

func (s *parquetSink) shorts() bool { return shortTypes(s.columns) }

func (s *parquetSink) add(b *batch, row []value) {
	for _, v := range row {
		b.text = append(b.text, toText(v)...)
		b.ends = append(b.ends, len(b.text))
	}
}

func (s *parquetSink) cells(b *batch, h *hasher, cells [][]byte) bool {
	for i, c := range cells {
		if !hashCell(h, s.columns[i].Type, c) {
			h.begin()
			return false
		}
	}
	for _, c := range cells {
		b.text = append(b.text, c...)
		b.ends = append(b.ends, len(b.text))
	}
	return true
}

// hashCell hashes a cell as a column of that type holds it; false if a look at the text does not tell.
func hashCell(h *hasher, t colType, c []byte) bool {
	if len(c) == 0 && t != typeText {
		h.null()
		return true
	}
	switch t {
	case typeText:
		h.text(c)
		return utf8.Valid(c)
	case typeBoolean:
		h.boolean(c[0] == 't')
		return string(c) == "true" || string(c) == "false"
	case typeReal:
		kind, _ := shapeOf(c)
		return kind != shapeDecimal && hashNumber(h, pgFloat8, c)
	}
	return hashNumber(h, pgInt8, c)
}

// cell is a cell of a batch that is text.
func (b *batch) cell(row, i int) []byte {
	n := row*b.width + i
	return b.text[b.start(n):b.ends[n]]
}

// shortValue is a cell in the library's form.
func shortValue(c []byte, t colType) (parquet.Value, error) {
	if t == typeText {
		return parquet.ByteArrayValue(c), nil
	}
	if len(c) == 0 {
		return parquet.NullValue(), nil
	}
	switch t {
	case typeBoolean:
		return parquet.BooleanValue(c[0] == 't'), nil
	case typeReal:
		f, err := strconv.ParseFloat(string(c), 64)
		return parquet.DoubleValue(f), err
	}
	if kind, n := shapeOf(c); kind == shapeInteger {
		return parquet.Int64Value(n), nil
	}
	n, err := strconv.ParseInt(string(c), 10, 64)
	return parquet.Int64Value(n), err
}

// columnValues appends the values of a column of a batch.
func (s *parquetSink) columnValues(to []parquet.Value, b *batch, i int) ([]parquet.Value, error) {
	for row := range b.rows() {
		var v parquet.Value
		var err error
		if len(b.ends) > 0 {
			v, err = shortValue(b.cell(row, i), s.columns[i].Type)
		} else {
			v = parquetValue(b.row(row)[i], s.columns[i].Type)
		}
		if err != nil {
			return to, fmt.Errorf("column %s: %w", s.columns[i].Name, err)
		}
		defined := 1
		if v.IsNull() {
			defined = 0
		}
		to = append(to, v.Level(0, defined, i))
	}
	return to, nil
}

// size is how much a batch takes, about.
func (b *batch) size() groupSize {
	size := groupSize{int64(b.rows()), int64(8*b.rows()*b.width + len(b.text))}
	for _, v := range b.values {
		switch v := v.(type) {
		case string:
			size.bytes += int64(len(v))
		case []byte:
			size.bytes += int64(len(v))
		case document:
			size.bytes += int64(len(v))
		}
	}
	return size
}

// hash is read, into a hasher.
func (r *parquetReader) hash(h *hasher, cols []column) (err error) {
	defer guard(r.path, &err)
	if err := r.advance(); err != nil {
		return err
	}
	h.begin()
	for i := range r.cursors {
		v, err := r.cursors[i].next()
		switch {
		case err != nil:
			return err
		case v.IsNull():
			h.null()
		case cols[i].Type == typeInteger:
			h.integer(v.Int64())
		case cols[i].Type == typeReal:
			h.float(v.Double())
		case cols[i].Type == typeBoolean:
			h.boolean(v.Boolean())
		default:
			h.text(v.ByteArray())
		}
	}
	r.passed()
	return nil
}
