package migration

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// verify reads our rows back over connections of its own. Parts of the table are read side by side: the digest does
// not depend on the order.
func (s *pgSink) verify(ctx context.Context, st *state, tick func(int64)) (digest, error) {
	conn, err := s.p.connectDestination(ctx)
	if err != nil {
		return digest{}, err
	}
	defer conn.close()
	wheres, snapshot, err := s.divide(ctx, conn)
	if err != nil {
		return digest{}, err
	}
	conns := []*pgConn{conn}
	if len(wheres) > 1 {
		other, err := s.join(ctx, snapshot)
		if err != nil {
			wheres = []string{""} // it takes no more of us
		} else {
			defer other.close()
			conns = append(conns, other)
		}
	}
	parts, ticks := make([]digest, len(wheres)), sharedTick(len(wheres), tick)
	g, ctx := errgroup.WithContext(ctx)
	for i, where := range wheres {
		g.Go(func() (err error) {
			parts[i], err = s.read(ctx, conns[i], where, func(n int64) { ticks(i, n) })
			return err
		})
	}
	err = g.Wait()
	var d digest
	for _, part := range parts {
		d = d.plus(part)
	}
	return d.minus(st.Table.Before).plus(st.Table.Replaced), err
}

// dividedPages is how many pages a table has at least that is read in parts: less is read by the time that another
// connection takes.
const dividedPages = 1024

// divide returns the conditions of two parts, and the snapshot in which all are read: a row is in one of them only. Before
// version 14 the server would read all pages for each part; a table with parts of its own has other pages.
func (s *pgSink) divide(ctx context.Context, conn *pgConn) (wheres []string, snapshot string, err error) {
	row, err := conn.one(ctx, `select pg_relation_size(c.oid) / current_setting('block_size')::bigint from pg_class c
		where c.oid = $1::oid and c.relkind = 'r' and not c.relhassubclass and current_setting('server_version_num')::int >= 140000`, s.table.oid)
	if err != nil || row == nil {
		return []string{""}, "", err
	}
	pages, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil || pages < dividedPages {
		return []string{""}, "", err
	}
	if err := conn.exec(ctx, "begin isolation level repeatable read read only"); err != nil {
		return nil, "", err
	}
	if row, err = conn.one(ctx, "select pg_export_snapshot()"); err != nil {
		return nil, "", err
	}
	middle := fmt.Sprintf("'(%d,0)'::tid", pages/2)
	return []string{" where ctid < " + middle, " where ctid >= " + middle}, row[0], nil
}

// join opens another connection that sees the same.
func (s *pgSink) join(ctx context.Context, snapshot string) (*pgConn, error) {
	conn, err := s.p.connectDestination(ctx)
	if err != nil {
		return nil, err
	}
	if err := conn.exec(ctx, "begin isolation level repeatable read read only; set transaction snapshot '"+snapshot+"'"); err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}

// readAll sums up all rows of the table.
func (s *pgSink) readAll(ctx context.Context, conn *pgConn, tick func(int64)) (digest, error) {
	return s.read(ctx, conn, "", tick)
}

func (s *pgSink) read(ctx context.Context, conn *pgConn, where string, tick func(int64)) (digest, error) {
	rows := conn.ExecParams(ctx, "select "+quoteAll(columnNames(s.from))+" from "+s.table.sql()+where, nil, nil, nil, nil)
	d, err := sumUp(ctx, tick, func(h *hasher) error {
		if !rows.NextRow() {
			return io.EOF
		}
		h.begin()
		for i, v := range rows.Values() {
			s.columns[i].hash(h, v)
		}
		return nil
	})
	if err != nil {
		conn.close() // with what is left unread
		return d, err
	}
	_, err = rows.Close()
	return d, conn.fail(err)
}

// hash hashes a value as normal has it. What most columns are needs no value.
func (c *pgColumn) hash(h *hasher, b []byte) {
	switch {
	case b == nil:
		h.null()
	case c.class == pgText:
		h.text(b)
	case c.class == pgNumeric:
		h.decimal(trimZeros(b))
	case c.class.number() && hashNumber(h, c.class, b):
	default:
		h.value(c.normal(b))
	}
}

// number reports whether hashNumber knows the class.
func (c pgClass) number() bool { return c == pgInt2 || c == pgInt4 || c == pgInt8 || c == pgFloat8 }

// normal is decode, as pgSink.normal has it.
func (c *pgColumn) normal(b []byte) value {
	v := c.decode(b)
	if d, ok := v.(decimal); ok {
		return decimal(trimNumber(string(d)))
	}
	return v
}
