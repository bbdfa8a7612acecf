package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"durable/ipc/task"
)

// pgSink is a table of a PostgreSQL database.
type pgSink struct {
	p     *params
	owner owner
	hook  func(string) error

	conn     *pgConn
	position pgPosition
	inTx     bool
	table    *pgTable
	from     []column    // of the source
	columns  []*pgColumn // the same, as they are in the table
	foreign  []int       // those whose values only the server can write as it will give them back
	copySQL  string
	short    []shortColumn // nil: there is no short way
	buf      []byte
	hash     hasher
	upsert   *pgUpsert // of mode=upsert
}

// connect opens the connection once, and finds the schema.
func (s *pgSink) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.p.connectDestination(ctx)
	if err != nil {
		return err
	}
	name, err := conn.resolve(ctx, s.p.DestinationTable)
	if err != nil {
		conn.close()
		return err
	}
	s.conn, s.table = conn, &pgTable{pgName: name}
	s.position = pgPosition{s.owner, conn, name.schema}
	return nil
}

// resolve returns the name of a table, there or not, with its schema.
func (c *pgConn) resolve(ctx context.Context, table string) (pgName, error) {
	name, err := parsePGName(table)
	if err != nil || name.schema != "" {
		return name, err
	}
	row, err := c.one(ctx, `select coalesce((select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.oid = to_regclass($1)), current_schema())`, name.sql())
	if err == nil && row[0] == "" {
		err = task.Errorf(task.InvalidArgument, "%s %s: none of the schemas on its search_path exists", c.what, c.place).
			WithHint("name the table with its schema: schema.table")
	}
	if err != nil {
		return name, err
	}
	name.schema = row[0]
	return name, nil
}

func (s *pgSink) claim(ctx context.Context, saved *state) (*state, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	st, err := s.position.claim(ctx)
	if err != nil {
		return nil, err
	}
	if st, err = claimed(s.p, st, saved, "database"); err != nil || st == nil {
		return nil, err
	}
	return st, s.prepare(ctx, st)
}

// create begins anew: table and position in one transaction.
func (s *pgSink) create(ctx context.Context, st *state) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	t, err := s.conn.table(ctx, s.table.pgName)
	switch {
	case err != nil:
		return err
	case t != nil && t.kind != "r" && t.kind != "p":
		return errView(s.p)
	case t != nil && s.p.Mode == modeCreate:
		return errTableExists(s.p)
	case t != nil && s.p.Mode == modeReplace:
		if err := s.conn.exec(ctx, "drop table "+t.sql()); err != nil {
			return err
		}
		t = nil
	}
	if t == nil {
		if err := s.createTable(ctx, st.Columns); err != nil {
			return err
		}
	} else if err := s.before(ctx, t, st); err != nil {
		return err
	}
	if err := s.hook("created"); err != nil {
		return err
	}
	if err := s.position.insert(ctx, st); err != nil {
		return err
	}
	if err := s.end(ctx); err != nil {
		return err
	}
	return s.prepare(ctx, st)
}

func (s *pgSink) createTable(ctx context.Context, cols []column) error {
	sql, err := s.tableSQL(ctx, cols)
	if err != nil {
		return err
	}
	return s.conn.exec(ctx, sql)
}

// planTable returns the statement that create would make the table with; "": it is there.
func (s *pgSink) planTable(ctx context.Context, cols []column) (string, error) {
	if err := s.connect(ctx); err != nil {
		return "", err
	}
	there, err := s.conn.table(ctx, s.table.pgName)
	if err != nil || there != nil && s.p.Mode != modeReplace {
		return "", err
	}
	return s.tableSQL(ctx, cols)
}

func (s *pgSink) tableSQL(ctx context.Context, cols []column) (string, error) {
	defs := make([]string, 0, len(cols)+1)
	for _, c := range cols {
		decl, err := s.declare(ctx, c)
		if err != nil {
			return "", err
		}
		defs = append(defs, quote(c.Name)+" "+decl)
	}
	if s.p.Mode == modeUpsert {
		defs = append(defs, "unique ("+quoteAll(s.p.keyColumns())+")")
	}
	return fmt.Sprintf("create table %s (%s)", s.table.sql(), strings.Join(defs, ", ")), nil
}

// declare returns the type of a new column. One that another database made, and this one does not know, is text.
func (s *pgSink) declare(ctx context.Context, c column) (string, error) {
	if c.PG == "" {
		return declarationPG(c), nil
	}
	row, err := s.conn.one(ctx, "select to_regtype($1) is not null", c.PG)
	if err != nil || row[0] == "t" {
		return c.PG, err
	}
	return "text", nil
}

// before notes what is there before the first of our rows, so that verify can tell them apart.
func (s *pgSink) before(ctx context.Context, t *pgTable, st *state) error {
	if err := s.choose(t, st.Columns); err != nil {
		return err
	}
	d, err := s.readAll(ctx, s.conn, func(int64) {})
	st.Table.Before = d
	return err
}

// choose finds the columns of the source in the table.
func (s *pgSink) choose(t *pgTable, cols []column) error {
	s.table, s.from, s.columns, s.foreign = t, cols, nil, nil
	for i, c := range cols {
		col := t.column(c.Name)
		if col == nil {
			return task.Errorf(task.FailedPrecondition, "destination %s: table %s has no column %s", s.p.Destination, t.table, c.Name)
		}
		s.columns = append(s.columns, col)
		if col.class.foreign() && col.decl != c.PG {
			s.foreign = append(s.foreign, i)
		}
	}
	s.short = s.shortColumns()
	s.copySQL = "copy " + t.sql() + " (" + quoteAll(columnNames(cols)) + ") from stdin"
	return nil
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

// prepare readies the sink for the table that is there now.
func (s *pgSink) prepare(ctx context.Context, st *state) error {
	t, err := s.conn.table(ctx, s.table.pgName)
	if err != nil || t == nil {
		return errors.Join(err, errTableGone(s.p, nil))
	}
	if err := s.choose(t, st.Columns); err != nil {
		return err
	}
	if s.p.Mode == modeUpsert {
		s.short = nil
		s.upsert, err = newPGUpsert(ctx, s)
	}
	return err
}

func (s *pgSink) convert(v value, i int) (value, error) {
	if text, ok := v.(string); ok && text == "" && s.p.SourceFormat.delimited() {
		if c := s.columns[i].class; c != pgText && c != pgChar && c != pgBytea && s.columns[i].decl != "name" {
			return nil, nil // CSV has no other NULL
		}
	}
	v, err := s.columns[i].encode(v, s.from[i])
	if err == nil && v == nil && s.upsert != nil && slices.Contains(s.p.keyColumns(), s.from[i].Name) {
		err = rowErrorf("NULL in the key")
	}
	return v, err
}

// normal: how many zeros a numeric shows at its end is the column's.
func (s *pgSink) normal(v value) value {
	if d, ok := v.(decimal); ok {
		return decimal(trimNumber(string(d)))
	}
	return v
}

func (s *pgSink) write(ctx context.Context, b *batch) ([]refusal, error) {
	ctx, done := graceful(ctx)
	defer done()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	var refused []refusal
	if len(s.foreign) > 0 {
		var err error
		if refused, err = s.canonical(ctx, b); err != nil {
			return nil, err
		}
	}
	rows := make([]int, 0, b.rows())
	next := 0
	for i := range b.rows() {
		if next < len(refused) && refused[next].row == i {
			next++
			continue
		}
		rows = append(rows, i)
	}
	if len(b.ends) == 0 && s.upsert == nil { // else it has come as text, or upsert makes one of its own
		for i := range b.rows() {
			s.add(b, b.row(i))
		}
	}
	more, err := s.put(ctx, b, rows)
	return mergeRefusals(refused, more), err
}

// put writes rows of b. What the server refuses for one of them is undone; dividing them finds which it is.
func (s *pgSink) put(ctx context.Context, b *batch, rows []int) ([]refusal, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err := s.copyRows(ctx, b, rows)
	bad, isRecord := refusedRecord(err)
	switch {
	case err == nil:
		return nil, nil
	case !isRecord:
		return nil, s.conn.fail(err)
	}
	if err := s.conn.exec(ctx, "rollback to savepoint durable"); err != nil {
		return nil, err
	}
	if len(rows) == 1 {
		return []refusal{s.refuse(b, rows[0], bad)}, nil
	}
	var all []refusal
	for _, part := range parts(rows, err) {
		refused, err := s.put(ctx, b, part)
		all = append(all, refused...)
		if err != nil || len(all) > 0 && s.p.OnError == onErrorFail {
			return all, err
		}
	}
	return all, nil
}

// copyRows writes rows, all or none of them: there is a savepoint before them.
func (s *pgSink) copyRows(ctx context.Context, b *batch, rows []int) error {
	if s.upsert != nil {
		return s.upsert.put(ctx, s, b, rows)
	}
	_, err := s.conn.CopyFrom(ctx, &bytesReader{s.span(b, rows)}, "savepoint durable; "+s.copySQL)
	if err != nil {
		return err
	}
	return s.conn.Exec(ctx, "release savepoint durable").Close()
}

func (s *pgSink) begin(ctx context.Context) error {
	if s.inTx {
		return nil
	}
	err := s.conn.exec(ctx, "begin isolation level read committed read write")
	s.inTx = err == nil
	return err
}

// end commits. A job that is to stop still keeps its position.
func (s *pgSink) end(ctx context.Context) error {
	ctx, done := graceful(ctx)
	defer done()
	if err := s.hook("commit"); err != nil {
		return err
	}
	tags, err := s.conn.Exec(ctx, "commit").ReadAll()
	if err == nil && (len(tags) != 1 || tags[0].CommandTag.String() != "COMMIT") {
		err = &pgconn.PgError{Severity: "ERROR", Code: "25P02", Message: "the transaction was rolled back"}
	}
	if err != nil {
		return s.conn.fail(err)
	}
	s.inTx = false
	return s.hook("committed")
}

func (s *pgSink) commit(ctx context.Context, st *state) error {
	inner, done := graceful(ctx)
	defer done()
	if err := s.begin(inner); err != nil {
		return err
	}
	if s.upsert != nil {
		st.Table.Replaced = st.Table.Replaced.plus(s.upsert.replaced)
		s.upsert.replaced = digest{}
	}
	if err := s.position.update(inner, st); err != nil {
		return err
	}
	return s.end(ctx)
}

// reset begins anew within what this line of tasks has made: the source cannot be read on from where it was.
func (s *pgSink) reset(ctx context.Context, st *state) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.p.Mode != modeUpsert {
		if err := s.conn.exec(ctx, "delete from "+s.table.sql()); err != nil {
			return err
		}
	}
	return s.commit(ctx, st)
}

func (s *pgSink) publish(context.Context, *state) error { return nil }

func (s *pgSink) size() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), pgGrace)
	defer cancel()
	row, err := s.conn.one(ctx, "select pg_total_relation_size(to_regclass($1))", s.table.sql())
	if err != nil || row == nil {
		return 0
	}
	n, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// close ends the attempt's hold. What was not committed is gone, as after a crash.
func (s *pgSink) close() error {
	s.conn.close()
	s.conn = nil
	return nil
}
