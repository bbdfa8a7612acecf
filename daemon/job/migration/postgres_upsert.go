package migration

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// pgUpsert writes batches by way of a temporary table. What it replaces is read first and summed up in the state:
// the table then is what was there, with ours added and the replaced taken away, which verify can prove.
type pgUpsert struct {
	stage               string // makes the temporary table
	copySQL             string
	dropDoubles         string
	selectOld, insertTo string
	replaced            digest // of the open transaction's batches
}

func newPGUpsert(ctx context.Context, s *pgSink) (*pgUpsert, error) {
	key := s.p.keyColumns()
	if err := s.conn.checkConflict(ctx, s.table, key); err != nil {
		return nil, err
	}
	cols := columnNames(s.from)
	list, keys := quoteAll(cols), quoteAll(key)
	same := func(a, b string) string {
		parts := make([]string, len(key))
		for i, k := range key {
			parts[i] = fmt.Sprintf("%s.%s = %s.%s", a, quote(k), b, quote(k))
		}
		return strings.Join(parts, " and ")
	}
	of := func(alias string) string {
		parts := make([]string, len(cols))
		for i, c := range cols {
			parts[i] = alias + "." + quote(c)
		}
		return strings.Join(parts, ", ")
	}
	sets := make([]string, len(cols))
	for i, c := range cols {
		sets[i] = quote(c) + " = excluded." + quote(c)
	}
	u := &pgUpsert{
		stage: fmt.Sprintf("create temporary table if not exists _durable_stage on commit delete rows as select %s, 0::bigint as _durable_n from %s with no data",
			list, s.table.sql()),
		copySQL: "copy pg_temp._durable_stage (" + list + ", _durable_n) from stdin",
		dropDoubles: "delete from pg_temp._durable_stage a using pg_temp._durable_stage b where " + same("a", "b") +
			" and a._durable_n < b._durable_n returning " + of("a"),
		selectOld: "select " + of("t") + " from " + s.table.sql() + " t join pg_temp._durable_stage s on " + same("t", "s") + " for update of t",
		insertTo: fmt.Sprintf("insert into %s (%s) select %s from pg_temp._durable_stage on conflict (%s) do update set %s",
			s.table.sql(), list, list, keys, strings.Join(sets, ", ")),
	}
	return u, s.conn.exec(ctx, u.stage)
}

// put writes rows of b: all or none of them, as there is a savepoint before them.
func (u *pgUpsert) put(ctx context.Context, s *pgSink, b *batch, rows []int) error {
	s.buf = s.buf[:0]
	for _, i := range rows {
		s.buf = appendCopyRow(s.buf, b.row(i))
		s.buf = append(s.buf[:len(s.buf)-1], '\t')
		s.buf = append(strconv.AppendInt(s.buf, int64(i), 10), '\n')
	}
	if _, err := s.conn.CopyFrom(ctx, &bytesReader{s.buf}, "savepoint durable; "+u.copySQL); err != nil {
		return err
	}
	var replaced digest
	for _, sql := range []string{u.dropDoubles, u.selectOld} {
		d, err := u.sum(ctx, s, sql)
		if err != nil {
			return err
		}
		replaced = replaced.plus(d)
	}
	if err := s.conn.Exec(ctx, u.insertTo+"; delete from pg_temp._durable_stage; release savepoint durable").Close(); err != nil {
		return err
	}
	u.replaced = u.replaced.plus(replaced)
	return nil
}

// sum sums up the rows that a statement returns.
func (u *pgUpsert) sum(ctx context.Context, s *pgSink, sql string) (digest, error) {
	var d digest
	rows := s.conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	row := make([]value, len(s.columns))
	for rows.NextRow() {
		for i, v := range rows.Values() {
			row[i] = s.columns[i].normal(v)
		}
		d.add(s.hash.row(row))
	}
	_, err := rows.Close()
	return d, err
}
