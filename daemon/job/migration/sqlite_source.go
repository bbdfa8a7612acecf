package migration

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"durable/ipc/task"
)

// tableSource is a table of a SQLite file, read in the order of its key in one read transaction: one
// state of the table for the whole attempt, whatever others write meanwhile.
type tableSource struct {
	path, table, query string
	// key are the names of the columns that the caller says tell records apart, given those of all.
	key func(all []string) []string
}

func (s *tableSource) snapshot() bool { return true }

// fingerprint includes the write-ahead log: what was committed last may be there only.
func (s *tableSource) fingerprint() (fingerprint, error) {
	print, err := fileFingerprint(s.path)
	if err != nil {
		return print, err
	}
	if info, err := os.Stat(s.path + "-wal"); err == nil && info.Size() > 0 {
		print.WAL = info.Size() ^ info.ModTime().UnixNano()
	}
	return print, nil
}

// caster gives back what a declared type says beyond the stored value.
func (s *tableSource) caster(c column) func(value) value {
	switch {
	case strings.EqualFold(c.Decl, "BOOLEAN"), strings.EqualFold(c.Decl, "BOOL"):
		return func(v value) value {
			if n, ok := v.(int64); ok && (n == 0 || n == 1) {
				return n == 1
			}
			return v
		}
	case strings.EqualFold(c.Decl, "JSON"):
		return func(v value) value {
			if s, ok := v.(string); ok && s != "" && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s)) {
				return document(s)
			}
			return v
		}
	}
	return nil
}

// describe opens the database and finds the table; the caller closes the database.
func (s *tableSource) describe(ctx context.Context) (*database, *tableInfo, error) {
	db, err := openDatabase(ctx, "source", s.path, readOnly)
	if err != nil {
		return nil, nil, err
	}
	if s.query != "" {
		t, err := db.described(ctx, s.query)
		if err != nil {
			_ = db.close() // the first error counts
			return nil, nil, err
		}
		return db, t, nil
	}
	t, err := db.table(ctx, s.table)
	if err == nil && t == nil {
		var names []string
		if names, err = db.tables(ctx); err == nil {
			err = errNoTable("source", s.path, s.table, names)
		}
	}
	if err == nil && t.view {
		err = task.Errorf(task.InvalidArgument, "source %s: %s is a view, which has no key to go on from", s.path, s.table).
			WithHint("make a table of it first: CREATE TABLE t AS SELECT * FROM %s", quote(s.table))
	}
	if err != nil {
		_ = db.close() // the first error counts
		return nil, nil, err
	}
	return db, t, nil
}

func (s *tableSource) header(ctx context.Context) ([]column, error) {
	db, t, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	cols := make([]column, len(t.columns))
	for i, c := range t.columns {
		cols[i] = c.column
		if !plainDecl(c.Decl) {
			cols[i].Decl = ""
		}
	}
	return cols, db.close()
}

// plainDecl reports whether a declared type is nothing but one: it goes into a CREATE TABLE.
func plainDecl(decl string) bool {
	for _, r := range decl {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" _(),", r)) {
			return false
		}
	}
	return strings.Count(decl, "(") == strings.Count(decl, ")")
}

func (s *tableSource) survey(ctx context.Context, o surveyOptions) (survey, error) {
	all, err := s.header(ctx)
	if err != nil {
		return survey{}, err
	}
	cols, err := pick(all, o.columns, s.path)
	if err == nil {
		err = checkColumns(cols, s.path)
	}
	if err != nil {
		return survey{}, err
	}
	db, _, err := s.describe(ctx)
	if err != nil {
		return survey{}, err
	}
	defer func() { _ = db.close() }() // a reader
	n, err := db.int(ctx, "select count(*) from "+s.from())
	if err == nil {
		err = s.checkKey(ctx, db)
	}
	if err == nil && o.typed { // a declared type of SQLite binds nobody
		err = inferTypes(ctx, s, cols, o, func(column) bool { return true })
	}
	return survey{Columns: cols, Records: min(n, o.limit)}, err
}

func (s *tableSource) open(ctx context.Context, cols []column, at position) (reader, error) {
	db, t, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	key, err := s.keyOf(t)
	if err == nil {
		var rows driver.Rows
		if rows, err = db.scan(ctx, s.from(), key, cols, at.Key); err == nil {
			return &tableReader{db: db, rows: rows, keys: len(key), pos: at,
				row: make([]driver.Value, len(key)+len(cols))}, nil
		}
	}
	_ = db.close() // the first error counts
	return nil, err
}

// keyColumns returns what orders t and tells its rows apart, quoted.
func (t *tableInfo) keyColumns(path string) ([]string, error) {
	if name := t.rowid(); name != "" {
		return []string{name}, nil
	}
	key := make([]string, 0, 1)
	for place := 1; ; place++ {
		n := len(key)
		for _, c := range t.columns {
			if c.key == place {
				key = append(key, quote(c.Name))
			}
		}
		if len(key) == n {
			break
		}
	}
	if len(key) == 0 || !t.withoutRowid {
		return nil, task.Errorf(task.InvalidArgument, "source %s: table %s has no key to go on from", path, t.name).
			WithHint("columns named rowid, _rowid_ and oid hide its rowid; rename one of them")
	}
	return key, nil
}

// scan reads cols of a table or query in the order of key, after the row with key values after.
func (db *database) scan(ctx context.Context, from string, key []string, cols []column, after []keyPart) (driver.Rows, error) {
	plus := make([]string, len(key))
	for i, k := range key {
		plus[i] = "+" + k
	}
	query := fmt.Sprintf("select %s from %s", strings.Join(append(plus, selectList(cols)), ", "), from)
	if len(key) == 0 {
		return db.query(ctx, query)
	}
	var args []value
	if len(after) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(key)), ", ")
		query += fmt.Sprintf(" where (%s) > (%s)", strings.Join(key, ", "), marks)
		if len(key) == 1 {
			query = strings.Replace(query, " where ("+key[0]+") > (?)", " where "+key[0]+" > ?", 1)
		}
		for _, part := range after {
			args = append(args, part.value())
		}
	}
	return db.query(ctx, query+" order by "+strings.Join(key, ", "), args...)
}

// tableReader reads the rows of a table.
type tableReader struct {
	db    *database
	rows  driver.Rows
	keys  int
	row   []driver.Value // the key, then the columns
	pos   position       // its Key is that of the attempt's start until position is called
	count int64
}

func (r *tableReader) line() int64 { return r.pos.Record + r.count }

func (r *tableReader) read(row []value) error {
	err := r.rows.Next(r.row)
	if err == io.EOF {
		return err
	}
	if err != nil {
		return r.db.fail(err)
	}
	r.count++
	for i := range row {
		row[i] = stored(r.row[r.keys+i])
	}
	return nil
}

// stored is a value as the driver returns it, with its one ambiguity mended: an empty blob is a nil
// slice there.
func stored(v value) value {
	if b, ok := v.([]byte); ok && b == nil {
		return []byte{}
	}
	return v
}

func (r *tableReader) position() position {
	if r.count == 0 {
		return r.pos
	}
	at := position{Record: r.pos.Record + r.count}
	for _, v := range r.row[:r.keys] {
		at.Key = append(at.Key, newKeyPart(v))
	}
	return at
}

func (r *tableReader) close() error {
	_ = r.rows.Close() // a reader
	return r.db.close()
}

// keyPart is one value of a key, in JSON that keeps its type and digits.
type keyPart struct {
	Int   *int64   `json:"int,omitempty"`
	Real  *float64 `json:"real,omitempty"`
	Bytes []byte   `json:"bytes,omitempty"` // text, which need not be UTF-8; or a blob
	Blob  bool     `json:"blob,omitempty"`
}

func newKeyPart(v value) keyPart {
	switch v := v.(type) {
	case int64:
		return keyPart{Int: &v}
	case float64:
		return keyPart{Real: &v}
	case string:
		return keyPart{Bytes: []byte(v)}
	case []byte:
		return keyPart{Bytes: v, Blob: true}
	}
	return keyPart{}
}

func (k keyPart) value() value {
	switch {
	case k.Int != nil:
		return *k.Int
	case k.Real != nil:
		return *k.Real
	case k.Blob:
		return append([]byte{}, k.Bytes...)
	}
	return string(k.Bytes)
}
