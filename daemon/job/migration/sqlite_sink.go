package migration

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"durable/ipc/task"
)

// tableSink is a table of a SQLite file.
type tableSink struct {
	p     *params
	owner owner
	hook  func(string) error

	db         *database
	inTx       bool
	columns    []column
	affinities []affinity

	many, single *insert
	upsert       *tableUpsert // of mode=upsert
}

// insert is a prepared INSERT of a fixed number of rows.
type insert struct {
	stmt driver.Stmt
	rows int
	args []driver.NamedValue
}

// Rows of one INSERT: more save little, and SQLite has a limit for the parameters of one statement.
const (
	rowsPerInsert = 100
	maxParameters = 32766
)

func (s *tableSink) claim(ctx context.Context, saved *state) (*state, error) {
	var st *state
	_, err := os.Stat(s.p.Destination)
	if err == nil {
		if s.db, err = openDatabase(ctx, "destination", s.p.Destination, readWrite); err != nil {
			return nil, err
		}
		if st, err = s.owner.claim(ctx, s.db); err != nil {
			return nil, err
		}
	}
	if st, err = claimed(s.p, st, saved, "file"); err != nil || st == nil {
		return nil, err
	}
	if s.db == nil {
		return nil, errTableGone(s.p, nil)
	}
	return st, s.prepare(ctx, st)
}

// create begins anew: table and position in one transaction.
func (s *tableSink) create(ctx context.Context, st *state) (err error) {
	if s.db == nil {
		if s.db, err = openDatabase(ctx, "destination", s.p.Destination, mayCreate); err != nil {
			return err
		}
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	t, err := s.db.table(ctx, s.p.DestinationTable)
	switch {
	case err != nil:
		return err
	case t != nil && t.view:
		return errView(s.p)
	case t != nil && s.p.Mode == modeCreate:
		return errTableExists(s.p)
	case t != nil && s.p.Mode == modeReplace:
		if _, err := s.db.exec(ctx, "drop table "+quote(t.name)); err != nil {
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
	if err := s.owner.insert(ctx, s.db, st); err != nil {
		return err
	}
	if err := s.end(ctx); err != nil {
		return err
	}
	return s.prepare(ctx, st)
}

func (s *tableSink) createTable(ctx context.Context, cols []column) error {
	_, err := s.db.exec(ctx, createTable(s.p, cols))
	return err
}

// planTable returns the statement that create would make the table with; "": it is there.
func (s *tableSink) planTable(ctx context.Context, cols []column) (string, error) {
	there, err := s.p.destinationTable(ctx)
	if err != nil || there != nil && s.p.Mode != modeReplace {
		return "", err
	}
	return createTable(s.p, cols), nil
}

func createTable(p *params, cols []column) string {
	defs := make([]string, len(cols))
	for i, c := range cols {
		defs[i] = strings.TrimSpace(quote(c.Name) + " " + declaration(c))
	}
	if p.Mode == modeUpsert {
		defs = append(defs, "unique ("+quoteAll(p.keyColumns())+")")
	}
	return fmt.Sprintf("create table %s (%s)", quote(p.DestinationTable), strings.Join(defs, ", "))
}

// declaration is the type that a new column is declared with.
func declaration(c column) string {
	switch c.Type {
	case typeInteger:
		return "INTEGER"
	case typeReal:
		return "REAL"
	case typeBoolean:
		return "BOOLEAN"
	case typeText, typeDate, typeTimestamp, typeTimestampNano, typeLocalTime, typeLocalTimeNano:
		return "TEXT"
	case typeBlob:
		return "BLOB"
	case typeJSON:
		return "JSON"
	}
	return c.Decl // of a SQLite source; otherwise none: each value keeps its own type
}

// before notes what is there before the first of our rows, so that verify can tell them apart.
func (s *tableSink) before(ctx context.Context, t *tableInfo, st *state) error {
	if name := t.rowid(); name != "" && s.p.Mode != modeUpsert {
		alias := t.rowidColumn()
		last, err := s.db.int(ctx, "select max("+name+") from "+quote(t.name))
		if err != nil {
			return err
		}
		if last < math.MaxInt64 && (alias == nil || indexFold(st.Columns, alias.Name) < 0) {
			st.Table.After = &last
			return nil
		}
	}
	var err error
	st.Table.Before, err = s.db.digest(ctx, t, st.Columns, "", func(int64) {})
	return err
}

func indexFold(cols []column, name string) int {
	for i, c := range cols {
		if strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// prepare readies the statements for the table that is there now.
func (s *tableSink) prepare(ctx context.Context, st *state) error {
	t, err := s.db.table(ctx, s.p.DestinationTable)
	if err != nil {
		return err
	}
	if t == nil {
		return task.Errorf(task.FailedPrecondition, "destination %s: table %s was removed", s.p.Destination, s.p.DestinationTable).
			WithHint("start the migration anew")
	}
	s.columns, s.affinities = st.Columns, make([]affinity, len(st.Columns))
	for i, c := range st.Columns {
		column := t.column(c.Name)
		if column == nil {
			return task.Errorf(task.FailedPrecondition, "destination %s: table %s lost its column %s", s.p.Destination, t.name, c.Name)
		}
		s.affinities[i] = affinityOf(column.Decl)
	}
	if s.p.Mode == modeUpsert {
		if s.upsert, err = s.newUpsert(); err != nil {
			return err
		}
	}
	if s.single, err = s.newInsert(1); err == nil {
		s.many, err = s.newInsert(max(1, min(rowsPerInsert, maxParameters/len(st.Columns))))
	}
	return err
}

func (s *tableSink) newInsert(rows int) (*insert, error) {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = quote(c.Name)
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(names)), ",") + ")"
	stmt, err := s.db.conn.Prepare(fmt.Sprintf("insert into %s (%s) values %s", quote(s.p.DestinationTable),
		strings.Join(names, ","), strings.TrimSuffix(strings.Repeat(row+",", rows), ",")))
	if err != nil {
		return nil, s.db.fail(err)
	}
	return &insert{stmt, rows, named(make([]value, rows*len(names)))}, nil
}

// exec inserts values. It takes no context that ends: an interrupted INSERT rolls back the whole
// transaction.
func (in *insert) exec(values []value) error {
	for i, v := range values {
		in.args[i].Value = v
	}
	_, err := in.stmt.(driver.StmtExecContext).ExecContext(context.Background(), in.args)
	return err
}

func (s *tableSink) convert(v value, i int) (value, error) { return s.affinities[i].apply(v) }
func (s *tableSink) normal(v value) value                  { return v }

func (s *tableSink) write(ctx context.Context, b *batch) ([]refusal, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if s.upsert != nil {
		return s.writeUpsert(ctx, b)
	}
	var refused []refusal
	width, n := len(s.columns), b.rows()
	for from := 0; from < n; {
		if n-from >= s.many.rows {
			err := s.many.exec(b.values[from*width : (from+s.many.rows)*width])
			if err == nil {
				from += s.many.rows
				continue
			}
			if !isConstraint(err) {
				return nil, s.db.fail(err)
			}
			if err := s.alive(ctx, err); err != nil {
				return nil, err
			}
		}
		// The rest, or a statement that was undone for one of its rows: row by row.
		for to := min(n, from+s.many.rows); from < to; from++ {
			if err := s.single.exec(b.row(from)); isConstraint(err) {
				if err := s.alive(ctx, err); err != nil {
					return nil, err
				}
				refused = append(refused, refusal{row: from, err: rowErrorf("refused by the table: %v", err)})
			} else if err != nil {
				return nil, s.db.fail(err)
			}
		}
	}
	return refused, nil
}

// alive makes sure that a refusal has not ended the transaction: what follows would be committed record by record,
// without its position, and what came before is gone.
func (s *tableSink) alive(ctx context.Context, refusal error) error {
	if _, err := s.db.exec(ctx, "begin"); err != nil {
		return nil // there can be only one: ours
	}
	return task.Errorf(task.FailedPrecondition, "destination %s: table %s rolls back all when it refuses a record: %w",
		s.p.Destination, s.p.DestinationTable, refusal).
		WithHint("its ON CONFLICT ROLLBACK, or a trigger with RAISE(ROLLBACK), cannot be used with a migration; mend the record, or the table")
}

func (s *tableSink) begin(ctx context.Context) error {
	if s.inTx {
		return nil
	}
	_, err := s.db.exec(ctx, "begin immediate")
	s.inTx = err == nil
	return err
}

// end commits. It does not take ctx to the commit: a job that is to stop still keeps its position.
func (s *tableSink) end(ctx context.Context) error {
	if err := s.hook("commit"); err != nil {
		return err
	}
	if _, err := s.db.exec(context.WithoutCancel(ctx), "commit"); err != nil {
		return err
	}
	s.inTx = false
	return s.hook("committed")
}

func (s *tableSink) commit(ctx context.Context, st *state) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.upsert != nil {
		st.Table.Replaced = st.Table.Replaced.plus(s.upsert.replaced)
		s.upsert.replaced = digest{}
	}
	if err := s.owner.update(ctx, s.db, st); err != nil {
		return err
	}
	return s.end(ctx)
}

// publish empties the write-ahead log of a database that has one, so that the file alone is whole.
func (s *tableSink) publish(ctx context.Context, _ *state) error {
	_, err := s.db.one(ctx, "pragma wal_checkpoint(truncate)")
	return err
}

func (s *tableSink) size() int64 {
	row, err := s.db.one(context.Background(), "select page_count * page_size from pragma_page_count, pragma_page_size")
	if err != nil || row == nil {
		return 0
	}
	n, _ := row[0].(int64)
	return n
}

// close ends the attempt's hold. What was not committed is gone, as after a crash.
func (s *tableSink) close() error {
	if s.db == nil {
		return nil
	}
	var errs []error
	if s.upsert != nil {
		s.upsert.close()
	}
	for _, in := range []*insert{s.single, s.many} {
		if in != nil {
			errs = append(errs, in.stmt.Close())
		}
	}
	if s.inTx {
		_, err := s.db.exec(context.Background(), "rollback")
		_ = err // a failed statement may have rolled back already
	}
	errs = append(errs, s.db.close())
	s.db = nil
	return errors.Join(errs...)
}
