package migration

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"durable/ipc/task"
)

// from is what follows FROM.
func (s *tableSource) from() string {
	if s.query != "" {
		return "(" + s.query + ")"
	}
	return quote(s.table)
}

// keyOf returns what orders the records and tells them apart, quoted; of a query what the caller says, or nothing.
func (s *tableSource) keyOf(t *tableInfo) ([]string, error) {
	if s.query == "" {
		return t.keyColumns(s.path)
	}
	var key []string
	for _, name := range s.key(t.names()) {
		if t.column(name) == nil {
			return nil, nil // the destination's alone
		}
		key = append(key, quote(name))
	}
	return key, nil
}

// resumable reports whether another attempt can read on from where one has stopped.
func (s *tableSource) resumable(ctx context.Context) (bool, error) {
	if s.query == "" {
		return true, nil
	}
	db, t, err := s.describe(ctx)
	if err != nil {
		return false, err
	}
	key, err := s.keyOf(t)
	if e := db.close(); err == nil {
		err = e
	}
	return len(key) > 0, err
}

// close does nothing: each method opens what it needs.
func (s *tableSource) close() {}

// checkKey proves a key that only the caller vouches for.
func (s *tableSource) checkKey(ctx context.Context, db *database) error {
	if s.query == "" {
		return nil
	}
	t, err := db.described(ctx, s.query)
	if err != nil {
		return err
	}
	key, err := s.keyOf(t)
	if err != nil || len(key) == 0 {
		return err
	}
	list := strings.Join(key, ", ")
	bad, err := db.int(ctx, fmt.Sprintf("select exists (select 1 from %s where %s is null) or exists (select 1 from %s group by %s having count(*) > 1)",
		s.from(), strings.Join(key, " is null or "), s.from(), list))
	if err == nil && bad != 0 {
		err = task.Errorf(task.InvalidArgument, "source %s: key %s: not unique, or NULL in some records", s.path, list).
			WithHint("name columns that tell the records apart")
	}
	return err
}

// described is the result of a query as if it were a table. The connection is read-only: so is the query.
func (db *database) described(ctx context.Context, query string) (*tableInfo, error) {
	stmt, err := db.conn.Prepare("select * from (" + query + ")")
	if err == nil {
		err = stmt.Close()
	}
	if err != nil {
		return nil, task.Errorf(task.InvalidArgument, "query: %w", err).WithHint("it must be one SELECT")
	}
	rows, err := db.query(ctx, "select * from ("+query+") limit 0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a reader
	t := &tableInfo{name: "query", view: false}
	types, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
	for i, name := range rows.Columns() {
		c := tableColumn{column: column{Name: name}}
		if types != nil {
			c.Decl = types.ColumnTypeDatabaseTypeName(i)
		}
		t.columns = append(t.columns, c)
	}
	return t, nil
}
