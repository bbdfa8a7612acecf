package migration

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"durable/ipc/task"
)

// database is one connection to a SQLite file. It uses the driver itself: a pool of connections and
// the conversions of database/sql between them cost a third of the time and would buy nothing.
type database struct {
	conn driver.Conn
	path string
	what string // "source" or "destination", for messages
}

// access is how a database is opened.
type access string

const (
	readOnly  access = "ro"
	readWrite access = "rw"
	mayCreate access = "rwc"
)

// busyTimeout is how long to wait for another program's lock, in ms. The driver's wait ends with its
// context.
const busyTimeout = 10_000

// Page caches in KiB: a reader goes over each page once, a writer comes back to some.
const (
	readerCache = 1024
	writerCache = 8192
)

// openDatabase opens path. synchronous is EXTRA because a commit in rollback mode ends by removing the
// journal: without a sync of the folder a power cut brings the journal back, and with it undoes a
// commit that was reported.
func openDatabase(ctx context.Context, what, path string, a access) (*database, error) {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // Windows: file:///C:/...
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: false, Path: p, RawQuery: "mode=" + string(a)}).String()
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, path, err)
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, sqliteError(err, what, path)
	}
	db := &database{conn, path, what}
	cache := writerCache
	if a == readOnly {
		cache = readerCache
	}
	for _, pragma := range []string{
		fmt.Sprintf("busy_timeout=%d", busyTimeout), fmt.Sprintf("cache_size=-%d", cache), "synchronous=extra", "trusted_schema=off",
	} {
		if _, err := db.exec(ctx, "pragma "+pragma); err != nil {
			_ = db.close() // the first error counts
			return nil, err
		}
	}
	return db, nil
}

func (db *database) close() error {
	if db == nil {
		return nil
	}
	return db.fail(db.conn.Close())
}

func (db *database) fail(err error) error {
	if err == nil {
		return nil
	}
	return sqliteError(err, db.what, db.path)
}

func named(args []value) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}

// exec runs a statement and returns how many rows it changed.
func (db *database) exec(ctx context.Context, query string, args ...value) (int64, error) {
	res, err := db.conn.(driver.ExecerContext).ExecContext(ctx, query, named(args))
	if err != nil {
		return 0, db.fail(err)
	}
	n, err := res.RowsAffected()
	return n, db.fail(err)
}

// query starts reading rows; the caller closes them.
func (db *database) query(ctx context.Context, query string, args ...value) (driver.Rows, error) {
	rows, err := db.conn.(driver.QueryerContext).QueryContext(ctx, query, named(args))
	return rows, db.fail(err)
}

// each calls f with each row; the row is good until f returns.
func (db *database) each(ctx context.Context, f func(row []driver.Value) error, query string, args ...value) error {
	rows, err := db.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // a reader
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return db.fail(err)
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// one returns the first row, nil if there is none.
func (db *database) one(ctx context.Context, query string, args ...value) (first []value, err error) {
	err = db.each(ctx, func(row []driver.Value) error {
		if first == nil {
			for _, v := range row {
				first = append(first, v)
			}
		}
		return nil
	}, query, args...)
	return first, err
}

func (db *database) text(ctx context.Context, query string, args ...value) (string, error) {
	row, err := db.one(ctx, query, args...)
	if err != nil || row == nil {
		return "", err
	}
	s, _ := row[0].(string) // NULL: ""
	return s, nil
}

func (db *database) int(ctx context.Context, query string, args ...value) (int64, error) {
	row, err := db.one(ctx, query, args...)
	if err != nil || row == nil {
		return 0, err
	}
	n, _ := row[0].(int64) // NULL: 0
	return n, nil
}

// positionTable holds the positions of migrations into a database.
const positionTable = "_durable_position"

// tables returns the names of the tables and views, without SQLite's own and ours.
func (db *database) tables(ctx context.Context) (names []string, err error) {
	err = db.each(ctx, func(row []driver.Value) error {
		names = append(names, toText(row[0]))
		return nil
	}, `select name from sqlite_schema where type in ('table', 'view')
		and name not like 'sqlite\_%' escape '\' and name <> ? order by rowid`, positionTable)
	return names, err
}

// tableInfo is what SQLite knows of a table.
type tableInfo struct {
	name         string // as it is declared: SQLite ignores the case
	view         bool
	withoutRowid bool
	columns      []tableColumn
}

type tableColumn struct {
	column
	key       int // place in the primary key, from 1; 0: none
	generated bool
}

// table returns nil for a table that there is not.
func (db *database) table(ctx context.Context, name string) (*tableInfo, error) {
	row, err := db.one(ctx, "select name, type, wr from pragma_table_list where schema = 'main' and name = ? collate nocase", name)
	if err != nil || row == nil {
		return nil, err
	}
	t := &tableInfo{name: toText(row[0]), view: row[1] == "view", withoutRowid: row[2] == int64(1)}
	err = db.each(ctx, func(row []driver.Value) error {
		hidden, _ := row[3].(int64)
		if hidden == 1 {
			return nil // of a virtual table: no data
		}
		key, _ := row[2].(int64)
		t.columns = append(t.columns, tableColumn{
			column:    column{Name: toText(row[0]), Decl: toText(row[1])},
			key:       int(key),
			generated: hidden > 1,
		})
		return nil
	}, "select name, type, pk, hidden from pragma_table_xinfo(?) order by cid", t.name)
	return t, err
}

func (t *tableInfo) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.Name
	}
	return names
}

// rowid returns the name by which the rowid of t can be had; "" if it has none.
func (t *tableInfo) rowid() string {
	if t.withoutRowid || t.view {
		return ""
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if t.column(name) == nil {
			return name
		}
	}
	return ""
}

// column returns nil for a column that t does not have. SQLite ignores the case of ASCII letters.
func (t *tableInfo) column(name string) *tableColumn {
	for i := range t.columns {
		if strings.EqualFold(t.columns[i].Name, name) {
			return &t.columns[i]
		}
	}
	return nil
}

// rowidColumn returns the column that is the rowid by another name; nil: none is.
func (t *tableInfo) rowidColumn() *tableColumn {
	var found *tableColumn
	for i := range t.columns {
		if t.columns[i].key > 0 {
			if found != nil {
				return nil // a key of several columns
			}
			found = &t.columns[i]
		}
	}
	if found == nil || t.withoutRowid || !strings.EqualFold(found.Decl, "INTEGER") {
		return nil
	}
	return found
}

// quote makes name an SQL identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// selectList names columns for reading. The plus keeps the value and hides the declared type: the
// driver would turn the text of a column declared DATE into a time.Time, which may print differently.
func selectList(cols []column) string {
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = "+" + quote(c.Name)
	}
	return strings.Join(list, ", ")
}

// list names things in a message.
func list(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func errNoTable(what, path, table string, names []string) error {
	return task.Errorf(task.InvalidArgument, "%s %s: no table %q", what, path, table).
		WithHint("it has %s", list(names))
}
