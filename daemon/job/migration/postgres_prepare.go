package migration

import (
	"context"
	"net/url"
	"path"
	"strings"

	"durable/ipc/task"
)

func (p *params) usesPostgres() bool { return isPostgres(p.Source) || isPostgres(p.Destination) }

// keyColumns are those of the parameter key.
func (p *params) keyColumns() []string {
	var names []string
	for _, name := range strings.Split(p.Key, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// checkUpsert holds key and query against the rest.
func (p *params) checkKey() error {
	p.Query = strings.TrimRight(strings.TrimSpace(p.Query), "; \n\t")
	key := p.keyColumns()
	switch {
	case p.Mode == modeUpsert && len(key) == 0:
		return task.Errorf(task.InvalidArgument, "mode=upsert: which records are the same?").
			WithHint("name the columns that tell, with key: id, or country,number")
	case p.Key != "" && p.Mode != modeUpsert && p.Query == "" && !isPostgres(p.Source):
		return task.Errorf(task.InvalidArgument, "key: only mode=upsert and a query have one")
	case p.Query != "" && (p.SourceTable != "" || p.Table == allTables):
		return task.Errorf(task.InvalidArgument, "query: there is a table to read too").WithHint("give one of them")
	}
	return nil
}

// checkModes refuses what source and destination cannot do together.
func (p *params) checkModes(ctx context.Context) error {
	if p.Mode == modeUpsert && !p.DestinationFormat.database() {
		return task.Errorf(task.InvalidArgument, "mode=upsert: the destination is %s, and only a table has a key", p.DestinationFormat)
	}
	src, ok := newSource(p).(interface {
		resumable(context.Context) (bool, error)
		close()
	})
	if !ok || p.Mode != modeAppend || !p.DestinationFormat.database() {
		return nil
	}
	defer src.close()
	if can, err := src.resumable(ctx); err != nil || can {
		return err
	}
	return errAppendNoKey(p)
}

// allTables as a table stands for every table of a database.
const allTables = "*"

// checkDatabase asks the server for what the destination allows; it changes nothing.
func (p *params) checkPostgres(ctx context.Context) error {
	conn, err := p.connectDestination(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	name, err := conn.resolve(ctx, p.DestinationTable)
	if err != nil {
		return err
	}
	row, err := conn.one(ctx, "select has_schema_privilege(n.oid, 'create'), current_setting('transaction_read_only') from pg_namespace n where n.nspname = $1", name.schema)
	switch {
	case err != nil:
		return err
	case row == nil:
		return task.Errorf(task.InvalidArgument, "destination %s: no schema %q", p.Destination, name.schema).WithHint("CREATE SCHEMA %s", quote(name.schema))
	case row[1] == "on":
		return task.Errorf(task.FailedPrecondition, "destination %s: the database is read-only", p.Destination).WithHint("a standby cannot be written to: name its primary")
	case row[0] != "t":
		return task.Errorf(task.PermissionDenied, "destination %s: the database user may not create tables in schema %s", p.Destination, name.schema).
			WithHint("GRANT CREATE ON SCHEMA %s TO the user: the position of a migration is kept there until its end", quote(name.schema))
	}
	t, err := conn.table(ctx, name)
	if err != nil || t == nil {
		return err
	}
	return p.checkPGTable(ctx, conn, t)
}

// checkPGTable refuses a table that is there and that the mode does not allow.
func (p *params) checkPGTable(ctx context.Context, conn *pgConn, t *pgTable) error {
	if t.kind != "r" && t.kind != "p" {
		return errView(p)
	}
	if p.Mode == modeCreate {
		return errTableExists(p)
	}
	wanted := map[mode]string{modeReplace: "", modeAppend: "insert,select", modeUpsert: "insert,select,update"}[p.Mode]
	for _, right := range strings.Split(wanted, ",") {
		if right == "" {
			continue
		}
		row, err := conn.one(ctx, "select has_table_privilege($1::oid, $2)", t.oid, right)
		if err == nil && row[0] != "t" {
			err = task.Errorf(task.PermissionDenied, "destination %s: the database user may not %s in table %s", p.Destination, right, p.DestinationTable).
				WithHint("GRANT %s ON %s TO the user", strings.ToUpper(wanted), t.sql())
		}
		if err != nil {
			return err
		}
	}
	if p.Mode == modeReplace {
		row, err := conn.one(ctx, "select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = $1::oid", t.oid)
		if err == nil && row[0] != "t" {
			err = task.Errorf(task.PermissionDenied, "destination %s: only its owner may drop table %s", p.Destination, p.DestinationTable).
				WithHint("mode=append adds to it; or ALTER TABLE %s OWNER TO the user", t.sql())
		}
		return err
	}
	return nil
}

// fitPostgres refuses columns that a PostgreSQL table cannot have, or the one that is there has not.
func (p *params) fitPostgres(ctx context.Context, cols []column) error {
	for _, c := range cols {
		if len(c.Name) > maxIdentifier {
			return task.Errorf(task.InvalidArgument, "columns: PostgreSQL would cut the name %q to 63 bytes", c.Name).WithHint("with columns, give it a shorter name: NEW=OLD")
		}
	}
	if len(cols) > maxPGColumns {
		return task.Errorf(task.InvalidArgument, "columns: %d of them, and PostgreSQL takes %d", len(cols), maxPGColumns).WithHint("choose some with columns")
	}
	for _, k := range p.keyColumns() {
		if p.Mode == modeUpsert && indexColumn(cols, k) < 0 {
			return errNoKeyColumn(p, k)
		}
	}
	if p.Mode != modeAppend && p.Mode != modeUpsert {
		return nil
	}
	conn, err := p.connectDestination(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	name, err := conn.resolve(ctx, p.DestinationTable)
	if err != nil {
		return err
	}
	t, err := conn.table(ctx, name)
	if err != nil || t == nil {
		return err
	}
	for _, c := range cols {
		if there := t.column(c.Name); there == nil || there.generated {
			return errColumns(p, cols, t.names())
		}
	}
	if p.Mode == modeUpsert {
		return conn.checkConflict(ctx, t, p.keyColumns())
	}
	return nil
}

// maxPGColumns is PostgreSQL's limit for a table.
const maxPGColumns = 1600

func errNoKeyColumn(p *params, name string) error {
	return task.Errorf(task.InvalidArgument, "key: %s is no column of %s, or not among those that are migrated", name, p.Source)
}

// checkConflict refuses a key that no unique index of the table stands for.
func (c *pgConn) checkConflict(ctx context.Context, t *pgTable, key []string) error {
	row, err := c.one(ctx, `select exists (select from pg_index i where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
		and (select array_agg(a.attname::text order by a.attname::text) from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any(i.indkey[0:i.indnkeyatts-1]))
			= (select array_agg(k order by k) from unnest(string_to_array($2, ',')) k))`, t.oid, strings.Join(key, ","))
	if err == nil && row[0] != "t" {
		err = task.Errorf(task.InvalidArgument, "key: table %s has no unique index on exactly %s", t.table, strings.Join(key, ", ")).
			WithHint("CREATE UNIQUE INDEX ON %s (%s)", t.sql(), quoteAll(key))
	}
	return err
}

// label is what a place is called in a title: a file's name, or the database's and the table's.
func label(place, table string) string {
	if !isPostgres(place) {
		return path.Base(strings.ReplaceAll(place, `\`, "/"))
	}
	name := "postgres"
	if u, err := url.Parse(place); err == nil && len(u.Path) > 1 {
		name = u.Path[1:]
	}
	if table != "" {
		name += "." + table
	}
	return name
}
