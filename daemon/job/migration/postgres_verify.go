package migration

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// verify reads our rows back over a connection of its own.
func (s *pgSink) verify(ctx context.Context, st *state, tick func(int64)) (digest, error) {
	conn, err := s.p.connectDestination(ctx)
	if err != nil {
		return digest{}, err
	}
	defer conn.close()
	d, err := s.readAll(ctx, conn, tick)
	return d.minus(st.Table.Before).plus(st.Table.Replaced), err
}

func (s *pgSink) readAll(ctx context.Context, conn *pgConn, tick func(int64)) (digest, error) {
	rows := conn.ExecParams(ctx, "select "+quoteAll(columnNames(s.from))+" from "+s.table.sql(), nil, nil, nil, nil)
	d, err := s.sum(ctx, rows, tick)
	if err != nil {
		conn.close() // with what is left unread
		return d, err
	}
	_, err = rows.Close()
	return d, conn.fail(err)
}

// sum reads all rows.
func (s *pgSink) sum(ctx context.Context, rows *pgconn.ResultReader, tick func(int64)) (digest, error) {
	var d digest
	var h hasher
	for ; rows.NextRow(); d.add(h.sum()) {
		if d.Records%256 == 0 {
			if ctx.Err() != nil {
				return d, context.Cause(ctx)
			}
			tick(d.Records)
		}
		h.begin()
		for i, v := range rows.Values() {
			s.columns[i].hash(&h, v)
		}
	}
	return d, nil
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
