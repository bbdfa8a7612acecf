package migration

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"
)

// verifyReaders is how many connections read a table back at the same time.
const verifyReaders = 2

// verify reads our rows back over connections of its own. Parts of the rowids are read side by side:
// the digest does not depend on the order.
func (s *tableSink) verify(ctx context.Context, st *state, tick func(int64)) (digest, error) {
	t, err := s.db.table(ctx, s.p.DestinationTable)
	if err != nil || t == nil {
		return digest{}, errors.Join(err, errTableGone(s.p, t))
	}
	rowid := t.rowid()
	if rowid == "" || s.p.Mode == modeUpsert {
		d, err := s.readBack(ctx, t, st, "", tick)
		return d.minus(st.Table.Before).plus(st.Table.Replaced), err
	}
	low := int64(math.MinInt64)
	if st.Table.After != nil {
		low = *st.Table.After + 1
	}
	row, err := s.db.one(ctx, fmt.Sprintf("select min(%s), max(%s) from %s where %s >= %d", rowid, rowid, quote(t.name), rowid, low))
	if err != nil || row[0] == nil {
		return digest{}.minus(st.Table.Before), err
	}
	ranges := split(row[0].(int64), row[1].(int64), verifyReaders)
	parts := make([]digest, len(ranges))
	ticks := sharedTick(len(ranges), tick)
	g, ctx := errgroup.WithContext(ctx)
	for i, r := range ranges {
		where := fmt.Sprintf(" where %s between %d and %d", rowid, r[0], r[1])
		g.Go(func() (err error) {
			parts[i], err = s.readBack(ctx, t, st, where, func(n int64) { ticks(i, n) })
			return err
		})
	}
	err = g.Wait()
	var d digest
	for _, part := range parts {
		d = d.plus(part)
	}
	return d.minus(st.Table.Before), err
}

func (s *tableSink) readBack(ctx context.Context, t *tableInfo, st *state, where string, tick func(int64)) (digest, error) {
	db, err := openDatabase(ctx, "destination", s.p.Destination, readOnly)
	if err != nil {
		return digest{}, err
	}
	defer func() { _ = db.close() }() // a reader
	return db.digest(ctx, t, st.Columns, where, tick)
}

// digest sums up cols of the rows of t that where lets through.
func (db *database) digest(ctx context.Context, t *tableInfo, cols []column, where string, tick func(int64)) (digest, error) {
	rows, err := db.query(ctx, "select "+selectList(cols)+" from "+quote(t.name)+where)
	if err != nil {
		return digest{}, err
	}
	r := &tableReader{db: db, rows: rows, row: make([]driver.Value, len(cols))}
	defer func() { _ = rows.Close() }() // a reader
	return sum(ctx, r, len(cols), tick)
}
