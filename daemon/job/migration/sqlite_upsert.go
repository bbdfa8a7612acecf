package migration

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"slices"
	"strings"

	"durable/ipc/task"
)

// tableUpsert are the statements of mode=upsert: what a record replaces is read first and summed up in the state, so
// that verify can prove what the table has become.
type tableUpsert struct {
	selectOld driver.Stmt
	insert    *insert
	key       []int // places of the key among the columns
	old       []driver.Value
	hash      hasher
	replaced  digest // of the open transaction
}

func (s *tableSink) newUpsert() (*tableUpsert, error) {
	u := &tableUpsert{old: make([]driver.Value, len(s.columns))}
	var where, names, sets []string
	for i, c := range s.columns {
		names = append(names, quote(c.Name))
		sets = append(sets, quote(c.Name)+" = excluded."+quote(c.Name))
		if slices.ContainsFunc(s.p.keyColumns(), func(k string) bool { return strings.EqualFold(k, c.Name) }) {
			u.key = append(u.key, i)
			where = append(where, quote(c.Name)+" = ?")
		}
	}
	var err error
	table := quote(s.p.DestinationTable)
	if u.selectOld, err = s.db.conn.Prepare("select " + selectList(s.columns) + " from " + table + " where " + strings.Join(where, " and ")); err != nil {
		return nil, s.db.fail(err)
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(names)), ",")
	stmt, err := s.db.conn.Prepare(fmt.Sprintf("insert into %s (%s) values (%s) on conflict (%s) do update set %s",
		table, strings.Join(names, ","), marks, quoteAll(s.p.keyColumns()), strings.Join(sets, ", ")))
	if err != nil {
		_ = u.selectOld.Close() // the first error counts
		return nil, s.db.fail(err)
	}
	u.insert = &insert{stmt, 1, named(make([]value, len(names)))}
	return u, nil
}

func (u *tableUpsert) close() {
	_, _ = u.selectOld.Close(), u.insert.stmt.Close() // statements only
}

// put writes one record.
func (u *tableUpsert) put(row []value) error {
	args := make([]value, len(u.key))
	for i, place := range u.key {
		args[i] = row[place]
	}
	old, err := u.oldHash(args)
	if err != nil {
		return err
	}
	if err := u.insert.exec(row); err != nil {
		return err
	}
	u.replaced = u.replaced.plus(old)
	return nil
}

// oldHash sums up what the record with that key, if there is one, holds now.
func (u *tableUpsert) oldHash(key []value) (d digest, err error) {
	rows, err := u.selectOld.(driver.StmtQueryContext).QueryContext(context.Background(), named(key))
	if err != nil {
		return d, err
	}
	defer func() { _ = rows.Close() }() // a reader
	row := make([]value, len(u.old))
	for {
		err := rows.Next(u.old)
		if err == io.EOF {
			return d, nil
		}
		if err != nil {
			return d, err
		}
		for i, v := range u.old {
			row[i] = stored(v)
		}
		d.add(u.hash.row(row))
	}
}

// writeUpsert is write of mode=upsert.
func (s *tableSink) writeUpsert(ctx context.Context, b *batch) ([]refusal, error) {
	var refused []refusal
	for i := range b.rows() {
		row := b.row(i)
		if slices.ContainsFunc(s.upsert.key, func(place int) bool { return row[place] == nil }) {
			refused = append(refused, refusal{row: i, err: rowErrorf("NULL in the key")})
			continue
		}
		err := s.upsert.put(row)
		if isConstraint(err) {
			if err := s.alive(ctx, err); err != nil {
				return nil, err
			}
			refused = append(refused, refusal{row: i, err: rowErrorf("refused by the table: %v", err)})
		} else if err != nil {
			return nil, s.db.fail(err)
		}
	}
	return refused, nil
}

// reset begins anew within what this line of tasks has made.
func (s *tableSink) reset(ctx context.Context, st *state) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.p.Mode != modeUpsert {
		if _, err := s.db.exec(ctx, "delete from "+quote(s.p.DestinationTable)); err != nil {
			return err
		}
	}
	return s.commit(ctx, st)
}

// fitUpsert refuses a key that no unique index of a SQLite table stands for.
func (p *params) fitUpsert(ctx context.Context, cols []column, t *tableInfo) error {
	for _, k := range p.keyColumns() {
		if indexFold(cols, k) < 0 {
			return errNoKeyColumn(p, k)
		}
	}
	if t == nil {
		return nil
	}
	db, err := openDatabase(ctx, "destination", p.Destination, readOnly)
	if err != nil {
		return err
	}
	defer func() { _ = db.close() }() // a reader
	stmt, err := db.conn.Prepare(fmt.Sprintf("insert into %s (%s) values (%s) on conflict (%s) do nothing", quote(t.name), quoteAll(columnNames(cols)),
		strings.TrimSuffix(strings.Repeat("?,", len(cols)), ","), quoteAll(p.keyColumns())))
	if err == nil {
		return stmt.Close()
	}
	return task.Errorf(task.InvalidArgument, "key: table %s has no unique index on exactly %s", t.name, strings.Join(p.keyColumns(), ", ")).
		WithHint("CREATE UNIQUE INDEX name ON %s (%s)", quote(t.name), quoteAll(p.keyColumns()))
}
