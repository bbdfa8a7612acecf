package migration

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"durable/ipc/task"
)

// pgName is the name of a table. Without a schema, it is the first of that name on the search path.
type pgName struct{ schema, table string }

func (n pgName) sql() string {
	if n.schema == "" {
		return quote(n.table)
	}
	return quote(n.schema) + "." + quote(n.table)
}

// parsePGName reads table, schema.table, or either part in double quotes, which hide a dot.
func parsePGName(s string) (pgName, error) {
	var parts []string
	for rest := s; ; {
		part, after, err := cutIdentifier(rest)
		if err != nil || part == "" || len(part) > maxIdentifier || strings.ContainsRune(part, 0) {
			return pgName{}, task.Errorf(task.InvalidArgument, "table %q: not a name that PostgreSQL takes", s).
				WithHint(`give table or schema.table, each of at most 63 bytes; one with a dot in it goes into double quotes: public."a.b"`)
		}
		parts = append(parts, part)
		if after == "" {
			break
		}
		rest = after[1:] // the dot
	}
	switch len(parts) {
	case 1:
		return pgName{table: parts[0]}, nil
	case 2:
		return pgName{parts[0], parts[1]}, nil
	}
	return pgName{}, task.Errorf(task.InvalidArgument, "table %q: too many dots", s).WithHint("give table or schema.table; the database is in the URL")
}

// maxIdentifier is how many bytes of a name PostgreSQL keeps; it cuts off the rest without a word.
const maxIdentifier = 63

// cutIdentifier returns the first part of a name, unquoted, and what follows: nothing, or a dot and more.
func cutIdentifier(s string) (part, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '.')
		if i < 0 {
			return s, "", nil
		}
		return s[:i], s[i:], nil
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] != '.' {
			break
		}
		return strings.ReplaceAll(s[1:i], `""`, `"`), s[i+1:], nil
	}
	return "", "", fmt.Errorf("quotes in %q", s)
}

// pgTable is what the catalog knows of a table, or of a query's result.
type pgTable struct {
	pgName
	oid     string
	kind    string // pg_class.relkind
	columns []pgColumn
	key     []string // of the primary key, else of a unique index without NULLs
}

type pgColumn struct {
	name      string
	decl      string // as format_type names it
	class     pgClass
	array     bool
	precision int // of a numeric with one, else 0
	scale     int // of a numeric with one, else -1
	generated bool
}

func (t *pgTable) column(name string) *pgColumn {
	for i := range t.columns {
		if t.columns[i].name == name {
			return &t.columns[i]
		}
	}
	return nil
}

func (t *pgTable) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// table returns nil for a table that there is not.
func (c *pgConn) table(ctx context.Context, name pgName) (*pgTable, error) {
	row, err := c.one(ctx, `select c.oid, c.relkind, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.oid = to_regclass($1)`, name.sql())
	if err != nil || row == nil {
		return nil, err
	}
	t := &pgTable{pgName: pgName{row[2], row[3]}, oid: row[0], kind: row[1]}
	rows, err := c.rows(ctx, `select a.attname, format_type(a.atttypid, a.atttypmod), `+pgTypeColumns+`, a.attgenerated <> '' or a.attidentity = 'a'
		from pg_attribute a join pg_type t on t.oid = a.atttypid
		where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`, t.oid)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		col := newPGColumn(r[0], r[1], r[2], r[3], r[4])
		col.generated = r[5] == "t"
		t.columns = append(t.columns, col)
	}
	keys, err := c.rows(ctx, `select a.attname from pg_attribute a join (
			select i.indrelid, i.indkey, i.indnkeyatts from pg_index i where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indpred is null
				and i.indexprs is null and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any(i.indkey[0:i.indnkeyatts-1]) and not a.attnotnull)
			order by i.indisprimary desc, i.indexrelid limit 1) i
		on a.attrelid = i.indrelid and a.attnum = any(i.indkey[0:i.indnkeyatts-1])
		order by array_position(i.indkey[0:i.indnkeyatts-1], a.attnum)`, t.oid)
	for _, r := range keys {
		t.key = append(t.key, r[0])
	}
	return t, err
}

// pgTypeColumns are the base type of a type t, whether it is an array, and the modifier of a.
const pgTypeColumns = `case when t.typtype = 'd' then t.typbasetype else t.oid end, t.typcategory = 'A' or t.typelem <> 0 and t.typlen = -1,
	case when t.typtype = 'd' then t.typtypmod else a.atttypmod end`

func newPGColumn(name, decl, oid, array, mod string) pgColumn {
	col := pgColumn{name: name, decl: decl, array: array == "t", scale: -1, class: pgClassOf(oid)}
	if n, err := strconv.Atoi(mod); err == nil && n >= 4 && col.class == pgNumeric {
		col.precision, col.scale = (n-4)>>16&0xffff, (n-4)&0x7ff
	}
	return col
}

// query describes the result of a query.
func (c *pgConn) query(ctx context.Context, sql string) (*pgTable, error) {
	described, err := c.Prepare(ctx, "", "select * from ("+sql+") q", nil)
	if err != nil {
		return nil, c.fail(err)
	}
	t := &pgTable{kind: "q"}
	for _, f := range described.Fields {
		oid, mod := strconv.FormatUint(uint64(f.DataTypeOID), 10), strconv.Itoa(int(f.TypeModifier))
		r, err := c.one(ctx, "select format_type(a.oid, a.atttypmod), "+pgTypeColumns+
			" from (select $1::oid as oid, $2::int as atttypmod) a join pg_type t on t.oid = a.oid", oid, mod)
		if err != nil {
			return nil, err
		}
		t.columns = append(t.columns, newPGColumn(f.Name, r[0], r[1], r[2], r[3]))
	}
	return t, nil
}

// tables names the tables that a user made, without ours; those on the search path without their schema.
func (c *pgConn) tables(ctx context.Context) ([]string, error) {
	rows, err := c.rows(ctx, `select case when pg_table_is_visible(c.oid) then '' else n.nspname end, c.relname
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and c.relname <> $1
			and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
		order by 1, 2`, positionTable)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(rows))
	for i, r := range rows {
		if names[i] = dotless(r[1]); r[0] != "" {
			names[i] = dotless(r[0]) + "." + names[i]
		}
	}
	return names, nil
}

// dotless is name as a part of what parsePGName reads.
func dotless(name string) string {
	if strings.ContainsAny(name, `."`) {
		return quote(name)
	}
	return name
}
