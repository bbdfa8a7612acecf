package migration

import (
	"context"
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
	r := &pgReader{conn: conn, rows: rows}
	for _, c := range s.columns {
		r.decode = append(r.decode, c.normal)
	}
	d, err := sum(ctx, r, len(s.columns), tick)
	if err != nil {
		conn.close() // with what is left unread
		return d, err
	}
	_, err = rows.Close()
	return d, conn.fail(err)
}

// normal is decode, as pgSink.normal has it.
func (c *pgColumn) normal(b []byte) value {
	v := c.decode(b)
	if d, ok := v.(decimal); ok {
		return decimal(trimNumber(string(d)))
	}
	return v
}
