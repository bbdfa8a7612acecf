package migration

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"durable/daemon/job"
	"durable/ipc/task"
)

// pgSource is a table or a query of a PostgreSQL database. Count, survey and copy of one attempt see one snapshot,
// whatever others write meanwhile: its connection keeps a transaction.
type pgSource struct {
	p    *params
	conn *pgConn
	tab  *pgTable
}

func (s *pgSource) snapshot() bool                  { return true }
func (s *pgSource) caster(column) func(value) value { return nil }
func (s *pgSource) exported() bool                  { return s.p.DestinationFormat != formatPostgres }
func (s *pgSource) failed(code task.Code, format string, args ...any) *task.Error {
	return task.Errorf(code, "source %s: "+format, append([]any{s.p.Source}, args...)...)
}

// start opens the connection and its transaction, once, and describes the table.
func (s *pgSource) start(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.p.connectSource(ctx)
	if err != nil {
		return err
	}
	err = conn.exec(ctx, "begin isolation level repeatable read read only")
	if err == nil {
		s.tab, err = s.describe(ctx, conn)
	}
	if err != nil {
		conn.close()
		return err
	}
	s.conn = conn
	return nil
}

func (s *pgSource) describe(ctx context.Context, conn *pgConn) (*pgTable, error) {
	if s.p.Query != "" {
		return conn.query(ctx, s.p.Query)
	}
	name, err := parsePGName(s.p.SourceTable)
	if err != nil {
		return nil, err
	}
	t, err := conn.table(ctx, name)
	if err == nil && t == nil {
		var names []string
		if names, err = conn.tables(ctx); err == nil {
			err = errNoTable("source", s.p.Source, s.p.SourceTable, names)
		}
	}
	if err != nil {
		return nil, err
	}
	row, err := conn.one(ctx, "select has_table_privilege($1::oid, 'select') or has_any_column_privilege($1::oid, 'select')", t.oid)
	if err == nil && row[0] != "t" {
		err = s.failed(task.PermissionDenied, "the database user may not read table %s", s.p.SourceTable).WithHint("GRANT SELECT ON %s", t.sql())
	}
	return t, err
}

func (s *pgSource) header(ctx context.Context) ([]column, error) {
	t := s.tab
	if t == nil {
		conn, err := s.p.connectSource(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.close()
		if t, err = s.describe(ctx, conn); err != nil {
			return nil, err
		}
	}
	cols := make([]column, len(t.columns))
	for i := range t.columns {
		c := &t.columns[i]
		cols[i] = column{Name: c.name, Type: c.colType(), PG: c.decl}
	}
	return cols, nil
}

// key returns the columns by which rows are ordered and told apart; nil: there are none.
func (s *pgSource) key(t *pgTable) []string {
	given := s.p.sourceKey(t.names())
	if t.kind != "q" && len(t.key) > 0 {
		return t.key
	}
	for _, name := range given {
		if t.column(name) == nil {
			return nil
		}
	}
	return given
}

// resumable reports whether another attempt can read on from where one has stopped.
func (s *pgSource) resumable(ctx context.Context) (bool, error) {
	if err := s.start(ctx); err != nil {
		return false, err
	}
	return len(s.key(s.tab)) > 0, nil
}

// from is what follows FROM.
func (s *pgSource) from() string {
	if s.p.Query != "" {
		return "(" + s.p.Query + ") q"
	}
	return s.tab.sql()
}

// fingerprint counts the rows and notes what the snapshot sees, for unchanged.
func (s *pgSource) fingerprint() (fingerprint, error) {
	ctx := context.Background()
	if err := s.start(ctx); err != nil {
		return fingerprint{}, err
	}
	row, err := s.conn.one(ctx, "select count(*), pg_current_snapshot() from "+s.from())
	if err != nil {
		return fingerprint{}, err
	}
	n, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil {
		return fingerprint{}, err
	}
	shape := xxhash.New()
	_, _ = fmt.Fprintf(shape, "%s %q %v", s.tab.oid, s.p.Query, s.tab.columns) // a hash takes all
	return fingerprint{Fingerprint: job.Fingerprint{Ends: shape.Sum64()}, Rows: n, Snapshot: row[1]}, nil
}

// unchanged reports whether the source still is what st began with: as many rows and, where rows show which
// transaction wrote them, none of a later one. Only a key lets another attempt ask.
func (s *pgSource) unchanged(ctx context.Context, st *state) error {
	if st.Read == 0 {
		return nil
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	now, err := s.fingerprint()
	if err != nil {
		return err
	}
	same := now.Rows == st.Source.Rows && now.Ends == st.Source.Ends
	if same && s.tab.kind == "r" {
		later, err := s.conn.one(ctx, "select exists (select from "+s.from()+" t, "+writtenLater+")", st.Source.Snapshot)
		if err != nil {
			return err
		}
		same = later[0] != "t"
	}
	if !same {
		return errSourceChanged(s.p.Source)
	}
	return nil
}

// writtenLater holds for rows of t that the snapshot $1 does not see. xmin has 32 bits only; those that it lacks are the
// current ones, or one less.
const writtenLater = `(select $1::pg_snapshot as old, pg_snapshot_xmax(pg_current_snapshot())::text::numeric as top) s,
	lateral (select floor(s.top / 4294967296) * 4294967296 + t.xmin::text::numeric as x) a,
	lateral (select case when a.x >= s.top then a.x - 4294967296 else a.x end as x) b
	where b.x > 2 and not pg_visible_in_snapshot(b.x::text::xid8, s.old)`

func (s *pgSource) survey(ctx context.Context, o surveyOptions) (survey, error) {
	if err := s.start(ctx); err != nil {
		return survey{}, err
	}
	all, err := s.header(ctx)
	if err != nil {
		return survey{}, err
	}
	cols, err := pick(all, o.columns, s.p.Source)
	if err == nil {
		err = checkColumns(cols, s.p.Source)
	}
	if err == nil {
		err = s.checkKey(ctx)
	}
	if err != nil {
		return survey{}, err
	}
	row, err := s.conn.one(ctx, "select count(*) from "+s.from())
	if err != nil {
		return survey{}, err
	}
	n, err := strconv.ParseInt(row[0], 10, 64)
	return survey{Columns: cols, Records: min(n, o.limit)}, err
}

// checkKey proves a key that only the caller vouches for: going on by one that is not unique would lose rows.
func (s *pgSource) checkKey(ctx context.Context) error {
	key := s.key(s.tab)
	if len(key) == 0 || slices.Equal(key, s.tab.key) {
		return nil
	}
	list := quoteAll(key)
	row, err := s.conn.one(ctx, fmt.Sprintf("select count(*) = count(distinct (%s)) and bool_and((%s) is not null) from %s", list, list, s.from()))
	if err == nil && row[0] == "f" {
		err = s.failed(task.InvalidArgument, "key %s: not unique, or NULL in some records", list).WithHint("name columns that tell the records apart")
	}
	return err
}

func (s *pgSource) open(ctx context.Context, cols []column, at position) (reader, error) {
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	key := s.key(s.tab)
	r := &pgReader{conn: s.conn, keys: len(key), pos: at}
	list := make([]string, 0, len(key)+len(cols))
	for _, k := range key {
		list = append(list, quote(k))
	}
	for _, c := range cols {
		col := s.tab.column(c.Name)
		if col == nil {
			return nil, errSourceChanged(s.p.Source)
		}
		expr := quote(c.Name)
		r.decode = append(r.decode, col.decode)
		if s.exported() {
			r.decode[len(r.decode)-1] = col.export
			if col.array {
				expr = "to_json(" + expr + ")"
			}
		}
		list = append(list, expr)
	}
	sql := "select " + strings.Join(list, ", ") + " from " + s.from()
	var args [][]byte
	if len(at.Key) > 0 {
		marks := make([]string, len(key))
		for i, k := range key {
			marks[i] = fmt.Sprintf("$%d::%s", i+1, s.tab.column(k).decl)
			args = append(args, at.Key[i].Bytes)
		}
		sql += fmt.Sprintf(" where (%s) > (%s)", quoteAll(key), strings.Join(marks, ", "))
	}
	if len(key) > 0 {
		sql += " order by " + quoteAll(key)
	}
	r.rows = s.conn.ExecParams(ctx, sql, args, nil, nil, nil)
	return r, nil
}

// close ends the attempt's connection.
func (s *pgSource) close() {
	s.conn.close()
	s.conn, s.tab = nil, nil
}

// pgReader reads the rows of a result as they arrive.
type pgReader struct {
	conn   *pgConn
	rows   *pgconn.ResultReader
	decode []func([]byte) value
	keys   int
	pos    position
	count  int64
	last   [][]byte // the key of the last row
}

func (r *pgReader) line() int64 { return r.pos.Record + r.count }

func (r *pgReader) read(row []value) error {
	if !r.rows.NextRow() {
		if _, err := r.rows.Close(); err != nil {
			return r.conn.fail(err)
		}
		return io.EOF
	}
	r.count++
	values := r.rows.Values()
	if r.last == nil {
		r.last = make([][]byte, r.keys)
	}
	for i, v := range values[:r.keys] {
		r.last[i] = append(r.last[i][:0], v...)
	}
	for i, decode := range r.decode {
		row[i] = decode(values[r.keys+i])
	}
	return nil
}

func (r *pgReader) position() position {
	if r.count == 0 {
		return r.pos
	}
	at := position{Record: r.pos.Record + r.count}
	for _, v := range r.last {
		at.Key = append(at.Key, keyPart{Bytes: slices.Clone(v)})
	}
	return at
}

// close leaves the connection to the source.
func (r *pgReader) close() error { return nil }
