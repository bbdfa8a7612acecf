package migration

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// check holds p against the files that it names, and fills in formats and tables. It changes nothing
// and reads no more than the beginnings.
func (p *params) check(ctx context.Context) error {
	if p.all() {
		return p.checkAll(ctx)
	}
	if p.Tables != nil {
		return task.Errorf(task.InvalidArgument, "tables: only table=* has them").WithHint("name one table, or * for all, with table")
	}
	if err := p.checkSource(); err != nil {
		return err
	}
	if err := p.checkDestination(); err != nil {
		return err
	}
	if err := p.checkRejects(); err != nil {
		return err
	}
	if err := p.resolveTables(ctx); err != nil {
		return err
	}
	if err := p.checkTable(ctx); err != nil {
		return err
	}
	if err := p.checkModes(ctx); err != nil {
		return err
	}
	cols, err := newSource(p).header(ctx)
	if err != nil || cols == nil {
		return err
	}
	_, err = p.arrange(ctx, cols)
	return err
}

func (p *params) checkSource() error {
	if isPostgres(p.Source) {
		p.SourceFormat = formatPostgres
		return nil
	}
	info, err := os.Stat(p.Source)
	if err != nil {
		if isPattern(p.Source) {
			return p.checkFiles()
		}
		return fileError(err, "source", p.Source)
	}
	if err := regular(info, "source", p.Source); err != nil {
		return err
	}
	content, err := head(p.Source)
	if err != nil {
		return fileError(err, "source", p.Source)
	}
	if len(content) == 0 {
		return task.Errorf(task.InvalidArgument, "source %s: empty", p.Source).WithHint("there is nothing to migrate")
	}
	if p.SourceFormat, err = sourceFormat(p, content); err == nil && p.SourceFormat.binary() {
		return plainFile(p.Source)
	}
	return err
}

// plainFile refuses a compressed file of a format that is read here and there, not from the beginning on.
func plainFile(path string) error {
	f, err := openText(path, 0)
	if err != nil {
		return err
	}
	if f.kind != compressNone {
		err = errCompressed("source " + path)
	}
	return errors.Join(err, f.Close())
}

// regular refuses what is no plain file: a folder, a device, a pipe.
func regular(info fs.FileInfo, what, path string) error {
	switch {
	case info.IsDir():
		return task.Errorf(task.InvalidArgument, "%s %s: a folder", what, path).WithHint("name a file in it")
	case !info.Mode().IsRegular():
		return task.Errorf(task.InvalidArgument, "%s %s: not a regular file", what, path).
			WithHint("a pipe or device cannot be read again after a restart; write it to a file first")
	}
	return nil
}

func (p *params) checkDestination() error {
	if isPostgres(p.Destination) {
		p.DestinationFormat = formatPostgres
		return nil
	}
	if err := checkFolder(filepath.Dir(p.Destination)); err != nil {
		return err
	}
	var content []byte
	info, err := os.Stat(p.Destination)
	there := err == nil
	switch {
	case there:
		content, err = p.checkExisting(info)
	case errors.Is(err, fs.ErrNotExist):
		if _, err = os.Lstat(p.Destination); err == nil {
			return task.Errorf(task.InvalidArgument, "destination %s: a symbolic link to nothing", p.Destination).
				WithHint("name the file itself")
		}
		err = nil
	}
	if err != nil {
		return fileError(err, "destination", p.Destination)
	}
	if p.DestinationFormat, err = destinationFormat(p, content); err != nil {
		return err
	}
	switch {
	case there && p.Mode == modeCreate && p.DestinationFormat != formatSQLite:
		return exists(p.Destination)
	case len(content) > 0 && p.Mode != modeReplace && mismatch(p.DestinationFormat, content),
		p.DestinationFormat != formatSQLite && strings.HasPrefix(string(content), sqliteMagic),
		len(content) > 0 && p.DestinationFormat == formatSQLite && !strings.HasPrefix(string(content), sqliteMagic):
		return task.Errorf(task.InvalidArgument, "destination %s: exists and is not %s", p.Destination, p.DestinationFormat).
			WithHint("name another destination, or say what it is with destination_format")
	}
	return nil
}

// mismatch reports whether content is not of format f, as far as a beginning tells.
func mismatch(f format, content []byte) bool {
	looks, err := byContent("", content)
	return f != looks && (f.binary() || err == nil && looks.binary())
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fileError(err, "destination folder", dir)
	case !info.IsDir():
		return task.Errorf(task.InvalidArgument, "destination folder %s: not a folder", dir).WithHint("check the path")
	}
	return fileError(writable(dir), "destination folder", dir)
}

// checkExisting returns the beginning of a destination that is there.
func (p *params) checkExisting(info fs.FileInfo) ([]byte, error) {
	if err := regular(info, "destination", p.Destination); err != nil {
		return nil, err
	}
	source, err := os.Stat(p.Source)
	if err == nil && os.SameFile(source, info) {
		return nil, task.Errorf(task.InvalidArgument, "destination %s: the same file as the source", p.Destination).
			WithHint("name another destination")
	}
	if err := writable(p.Destination); err != nil {
		return nil, fileError(err, "destination", p.Destination)
	}
	content, err := head(p.Destination)
	return content, fileError(err, "destination", p.Destination)
}

// resolveTables fills in which table is read and which is written.
func (p *params) resolveTables(ctx context.Context) error {
	reads, writes := p.SourceFormat.database(), p.DestinationFormat.database()
	switch {
	case p.Table != "" && !reads && !writes:
		return task.Errorf(task.InvalidArgument, "table: neither source nor destination is a database")
	case p.SourceTable != "" && !reads:
		return task.Errorf(task.InvalidArgument, "source_table: the source is %s, no database", p.SourceFormat)
	case p.DestinationTable != "" && !writes:
		return task.Errorf(task.InvalidArgument, "destination_table: the destination is %s, no database", p.DestinationFormat)
	}
	if p.Query != "" && !reads {
		return task.Errorf(task.InvalidArgument, "query: the source is %s, no database", p.SourceFormat)
	}
	if reads && p.Query == "" {
		p.SourceTable = first(p.SourceTable, p.Table)
		if p.SourceTable == "" {
			if err := p.onlyTable(ctx); err != nil {
				return err
			}
		}
	}
	if writes {
		if p.DestinationTable = first(p.DestinationTable, p.Table, p.SourceTable, p.stem()); p.DestinationTable == "" {
			return task.Errorf(task.InvalidArgument, "destination_table: missing").WithHint("a query or pattern has no name that the table could be called by")
		}
		lower := strings.ToLower(p.DestinationTable)
		if strings.HasPrefix(lower, "sqlite_") || lower == positionTable || strings.ContainsRune(lower, 0) {
			return task.Errorf(task.InvalidArgument, "destination table %q: the name is reserved", p.DestinationTable).
				WithHint("name another with destination_table")
		}
	}
	p.Table = ""
	return nil
}

// stem is the name of the source without its extensions, for a table; "": it has none.
func (p *params) stem() string {
	if p.SourceFormat.database() && (p.Query != "" || isPostgres(p.Source)) {
		return ""
	}
	_, plain := compressionOf(p.Source)
	if isPattern(p.Source) {
		return patternStem(plain)
	}
	stem := strings.TrimSuffix(filepath.Base(plain), filepath.Ext(plain))
	if p.DestinationFormat == formatPostgres {
		stem = dotless(stem)
	}
	return stem
}

func first(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

func (p *params) onlyTable(ctx context.Context) error {
	names, err := p.sourceTables(ctx)
	if err != nil {
		return err
	}
	switch len(names) {
	case 0:
		return task.Errorf(task.InvalidArgument, "source %s: a database without tables", p.Source)
	case 1:
		p.SourceTable = names[0]
		return nil
	}
	return task.Errorf(task.InvalidArgument, "source %s: which table? it has %s", p.Source, list(names)).
		WithHint("name one with table")
}

// sourceTables names the tables of the source.
func (p *params) sourceTables(ctx context.Context) ([]string, error) {
	if p.SourceFormat == formatPostgres {
		conn, err := p.connectSource(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.close()
		return conn.tables(ctx)
	}
	db, err := openDatabase(ctx, "source", p.Source, readOnly)
	if err != nil {
		return nil, err
	}
	names, err := db.tables(ctx)
	return names, errors.Join(err, db.close())
}

// checkTable refuses a destination table that the mode does not allow.
func (p *params) checkTable(ctx context.Context) error {
	if p.DestinationFormat == formatPostgres {
		return p.checkPostgres(ctx)
	}
	t, err := p.destinationTable(ctx)
	switch {
	case err != nil || t == nil:
		return err
	case t.view:
		return errView(p)
	case p.Mode == modeCreate:
		return errTableExists(p)
	}
	return nil
}

// destinationTable returns nil if there is no such table, or no database.
func (p *params) destinationTable(ctx context.Context) (*tableInfo, error) {
	if p.DestinationFormat != formatSQLite {
		return nil, nil
	}
	if info, err := os.Stat(p.Destination); err != nil || info.Size() == 0 {
		return nil, nil
	}
	db, err := openDatabase(ctx, "destination", p.Destination, readOnly)
	if err != nil {
		return nil, err
	}
	t, err := db.table(ctx, p.DestinationTable)
	return t, errors.Join(err, db.close())
}

func errView(p *params) error {
	return task.Errorf(task.InvalidArgument, "destination %s: %s is a view", p.Destination, p.DestinationTable).
		WithHint("name a table with destination_table")
}

func errTableExists(p *params) error {
	return task.Errorf(task.FailedPrecondition, "destination %s: the table %s exists already", p.Destination, p.DestinationTable).
		WithHint("mode=replace drops it first, mode=append adds to it; or name another with destination_table")
}

func errTableGone(p *params, t *tableInfo) error {
	if t != nil {
		return nil
	}
	return task.Errorf(task.FailedPrecondition, "destination %s: the table %s was removed", p.Destination, p.DestinationTable).
		WithHint("start the migration anew")
}

// arrange returns the columns to migrate, of those that the source has, in the order in which the
// destination wants them. It refuses what does not fit there.
func (p *params) arrange(ctx context.Context, all []column) ([]column, error) {
	cols, err := p.choose(all)
	if err == nil {
		err = checkColumns(cols, p.Source)
	}
	if err != nil {
		return nil, err
	}
	switch p.DestinationFormat {
	case formatSQLite:
		return cols, p.fitTable(ctx, cols)
	case formatPostgres:
		return cols, p.fitPostgres(ctx, cols)
	}
	if p.Mode == modeAppend && p.DestinationFormat.delimited() {
		return p.fitHeader(ctx, cols)
	}
	return cols, nil
}

func (p *params) fitTable(ctx context.Context, cols []column) error {
	for i, c := range cols {
		if indexFold(cols, c.Name) != i {
			return task.Errorf(task.InvalidArgument, "columns: SQLite takes %q and %q for the same name", cols[indexFold(cols, c.Name)].Name, c.Name).
				WithHint("choose one of them with columns, or rename one with NEW=OLD")
		}
	}
	if p.Mode != modeAppend && p.Mode != modeUpsert {
		return nil
	}
	t, err := p.destinationTable(ctx)
	if err == nil && p.Mode == modeUpsert {
		err = p.fitUpsert(ctx, cols, t)
	}
	if err != nil || t == nil {
		return err
	}
	for _, c := range cols {
		if there := t.column(c.Name); there == nil || there.generated {
			return errColumns(p, cols, t.names())
		}
	}
	return nil
}

func (p *params) fitHeader(ctx context.Context, cols []column) ([]column, error) {
	if info, err := os.Stat(p.Destination); err != nil || info.Size() == 0 {
		return cols, nil
	}
	there, err := (&delimitedSource{p.Destination, p.DestinationFormat.comma()}).header(ctx)
	if err != nil {
		return nil, err
	}
	arranged := make([]column, len(there))
	for i, c := range there {
		at := indexColumn(cols, c.Name)
		if at < 0 || len(there) != len(cols) {
			return nil, errColumns(p, cols, columnNames(there))
		}
		arranged[i] = cols[at]
	}
	return arranged, nil
}

func errColumns(p *params, cols []column, there []string) error {
	return task.Errorf(task.InvalidArgument, "destination %s: its columns do not match the source's: there %s, here %s",
		p.Destination, list(there), list(columnNames(cols))).
		WithHint("choose those that match with columns, or name another destination")
}
