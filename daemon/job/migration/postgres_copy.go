package migration

import (
	"context"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
)

// bytesReader hands out what a COPY sends. It is not a bytes.Reader, which a caller could seek in.
type bytesReader struct{ b []byte }

func (r *bytesReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// appendCopyRow appends a row in COPY's text format.
func appendCopyRow(b []byte, row []value) []byte {
	for i, v := range row {
		if i > 0 {
			b = append(b, '\t')
		}
		b = appendCopy(b, v)
	}
	return append(b, '\n')
}

// appendCopy appends a value, which encode returned.
func appendCopy(b []byte, v value) []byte {
	switch v := v.(type) {
	case string:
		return appendEscaped(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return append(b, pgFloatText(v)...)
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	case decimal:
		return append(b, v...)
	case document:
		return appendEscaped(b, string(v))
	case []byte:
		return hex.AppendEncode(append(b, `\\x`...), v)
	}
	return append(b, `\N`...)
}

func appendEscaped(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\\\n\r\t") {
		return append(b, s...)
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\':
			b = append(b, '\\', '\\')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, c)
		}
	}
	return b
}

// canonical has the server write the values of foreign columns as it will give them back, and hashes the rows again.
// It returns the rows with values that the server does not take.
func (s *pgSink) canonical(ctx context.Context, b *batch) ([]refusal, error) {
	bad := map[int]*rowError{}
	for _, i := range s.foreign {
		var rows []int
		for r := range b.rows() {
			if b.row(r)[i] != nil && bad[r] == nil {
				rows = append(rows, r)
			}
		}
		if err := s.canonicalColumn(ctx, b, i, rows, bad); err != nil {
			return nil, err
		}
	}
	normal := make([]value, len(s.columns))
	refused := make([]refusal, 0, len(bad))
	for r := range b.rows() {
		if e := bad[r]; e != nil {
			refused = append(refused, refusal{row: r, err: e})
			continue
		}
		for i, v := range b.row(r) {
			normal[i] = s.normal(v)
		}
		b.hashes[r] = s.hash.row(normal)
	}
	return refused, nil
}

func (s *pgSink) canonicalColumn(ctx context.Context, b *batch, i int, rows []int, bad map[int]*rowError) error {
	if len(rows) == 0 {
		return nil
	}
	list := []byte{'{'}
	for n, r := range rows {
		if n > 0 {
			list = append(list, ',')
		}
		list = appendElement(list, toText(b.row(r)[i]))
	}
	list = append(list, '}')
	if err := s.conn.exec(ctx, "savepoint durable"); err != nil {
		return err
	}
	res := s.conn.ExecParams(ctx, "select x::"+s.columns[i].decl+" from unnest($1::text[]) with ordinality u(x, n) order by n",
		[][]byte{list}, nil, nil, nil).Read()
	e, isRecord := refusedRecord(res.Err)
	switch {
	case res.Err == nil:
		for n, r := range rows {
			if v := res.Rows[n][0]; v != nil {
				b.row(r)[i] = s.columns[i].decode(v)
			} else {
				b.row(r)[i] = nil
			}
		}
		return s.conn.exec(ctx, "release savepoint durable")
	case !isRecord:
		return s.conn.fail(res.Err)
	}
	if err := s.conn.exec(ctx, "rollback to savepoint durable"); err != nil {
		return err
	}
	if len(rows) == 1 {
		bad[rows[0]] = &rowError{msg: "column " + s.from[i].Name + ": " + strings.TrimPrefix(e.msg, "refused by the table: ")}
		return nil
	}
	if err := s.canonicalColumn(ctx, b, i, rows[:len(rows)/2], bad); err != nil {
		return err
	}
	return s.canonicalColumn(ctx, b, i, rows[len(rows)/2:], bad)
}

// appendElement appends an element of a text[].
func appendElement(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func mergeRefusals(a, b []refusal) []refusal {
	all := append(a, b...)
	slices.SortFunc(all, func(x, y refusal) int { return x.row - y.row })
	return all
}
