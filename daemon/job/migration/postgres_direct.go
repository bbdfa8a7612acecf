package migration

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// The short way of pgSink: a batch is the text of a COPY.

// shortColumn is what the short way knows of a column.
type shortColumn struct {
	class pgClass
	// null: an empty cell is NULL.
	null bool
}

// shortColumns returns nil if there is a column of which the short way knows nothing.
func (s *pgSink) shortColumns() []shortColumn {
	short := make([]shortColumn, len(s.columns))
	for i, c := range s.columns {
		short[i] = shortColumn{c.class, c.class != pgText || s.from[i].Type != typeNone && s.from[i].Type != typeText}
		switch c.class {
		case pgBool, pgInt2, pgInt4, pgInt8, pgFloat8, pgText:
		case pgNumeric:
			if c.scale >= 0 {
				return nil
			}
		default:
			return nil
		}
	}
	return short
}

func (s *pgSink) shorts() bool { return s.short != nil }

// room: a COPY has costs of its own, of which a MiB bears a third more than it must.
func (s *pgSink) room() (least, most int64) { return 256 << 10, 4 << 20 }

func (s *pgSink) add(b *batch, row []value) {
	b.text = appendCopyRow(b.text, row)
	b.ends = append(b.ends, len(b.text))
}

func (s *pgSink) cells(b *batch, h *hasher, cells [][]byte) bool {
	text := b.text
	for i, c := range cells {
		if i > 0 {
			text = append(text, '\t')
		}
		if len(c) == 0 && s.short[i].null {
			text = append(text, `\N`...)
			h.null()
			continue
		}
		var ok bool
		if text, ok = s.short[i].cell(text, h, c); !ok {
			h.begin()
			return false
		}
	}
	b.text = append(text, '\n')
	b.ends = append(b.ends, len(b.text))
	return true
}

// cell appends c for COPY, and as the server will give it back to h.
func (s shortColumn) cell(text []byte, h *hasher, c []byte) ([]byte, bool) {
	switch s.class {
	case pgText:
		h.text(c)
		return appendPlain(text, c)
	case pgBool:
		if string(c) != "true" && string(c) != "false" {
			return text, false
		}
		h.boolean(c[0] == 't')
		return append(text, c[0]), true
	}
	if !hashNumber(h, s.class, c) {
		return text, false
	}
	return append(text, c...), true
}

// hashNumber hashes a number as a column of a class holds it; false if a look at the text does not tell.
func hashNumber(h *hasher, class pgClass, c []byte) bool {
	kind, n := shapeOf(c)
	switch {
	case kind == shapeOther:
		return false
	case class == pgNumeric:
		h.decimal(trimZeros(c))
		return true
	case class == pgFloat8 && (kind != shapeInteger || n <= exactInt && n >= -exactInt):
		f, err := strconv.ParseFloat(string(c), 64)
		h.float(f)
		return err == nil
	case kind != shapeInteger || class == pgFloat8:
		return false
	case class == pgInt2 && n != int64(int16(n)), class == pgInt4 && n != int64(int32(n)):
		return false
	}
	h.integer(n)
	return true
}

// trimZeros is trimNumber.
func trimZeros(b []byte) []byte {
	if bytes.IndexByte(b, '.') < 0 {
		return b
	}
	return bytes.TrimSuffix(bytes.TrimRight(b, "0"), []byte("."))
}

// What a byte of a text is to COPY.
const (
	bytePlain   = 0
	byteEscaped = 1
	byteWide    = 2 // part of a character of several bytes
	byteNUL     = 4
)

var copyBytes = func() (kinds [256]byte) {
	for _, c := range `\` + "\n\r\t" {
		kinds[c] = byteEscaped
	}
	for c := utf8.RuneSelf; c < 256; c++ {
		kinds[c] = byteWide
	}
	kinds[0] = byteNUL
	return kinds
}()

// appendPlain appends a text, if the server can hold it.
func appendPlain(text, c []byte) ([]byte, bool) {
	var all byte
	for _, x := range c {
		all |= copyBytes[x]
	}
	switch {
	case all == bytePlain, all == byteWide && utf8.Valid(c):
		return append(text, c...), true
	case all == byteEscaped, all == byteWide|byteEscaped && utf8.Valid(c):
		return appendEscaped(text, string(c)), true
	}
	return text, false
}

// span is the text of rows of a batch, which are in order.
func (s *pgSink) span(b *batch, rows []int) []byte {
	low, high := rows[0], rows[len(rows)-1]
	if high-low == len(rows)-1 {
		return b.text[b.start(low):b.ends[high]]
	}
	s.buf = s.buf[:0]
	for _, i := range rows {
		s.buf = append(s.buf, b.text[b.start(i):b.ends[i]]...)
	}
	return s.buf
}

func (b *batch) start(row int) int {
	if row == 0 {
		return 0
	}
	return b.ends[row-1]
}

// refuse notes that the server does not take a row. A batch that is text gives its values from that.
func (s *pgSink) refuse(b *batch, row int, why *rowError) refusal {
	r := refusal{row: row, err: why}
	if len(b.values) > 0 {
		return r
	}
	line := b.text[b.start(row) : b.ends[row]-1]
	for i, cell := range bytes.Split(line, []byte{'\t'}) {
		r.values = append(r.values, s.columns[i].decode(unescaped(cell)))
	}
	return r
}

// unescaped is the value that stands in COPY's text format; nil: NULL.
func unescaped(cell []byte) []byte {
	if string(cell) == `\N` {
		return nil
	}
	b := make([]byte, 0, len(cell))
	for i := 0; i < len(cell); i++ {
		c := cell[i]
		if c == '\\' {
			i++
			c = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\'}[cell[i]]
		}
		b = append(b, c)
	}
	return b
}

// copyLine finds in an error of the server's the line of the COPY that it was about.
var copyLine = regexp.MustCompile(`^COPY .*, line (\d+)`)

// parts divides rows of which one was refused, where the server says which: there, and what follows once more, since
// of that it has seen nothing. The parts are tried for themselves: what it says is a hint.
func parts(rows []int, err error) [][]int {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		if m := copyLine.FindStringSubmatch(e.Where); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(rows) {
				rest := rows[n:]
				return slicesOf(rows[:n-1], rows[n-1:n], rest[:len(rest)/2], rest[len(rest)/2:])
			}
		}
	}
	return slicesOf(rows[:len(rows)/2], rows[len(rows)/2:])
}

// slicesOf leaves out the empty ones.
func slicesOf(all ...[]int) [][]int {
	var some [][]int
	for _, rows := range all {
		if len(rows) > 0 {
			some = append(some, rows)
		}
	}
	return some
}
