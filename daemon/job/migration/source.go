package migration

import (
	"context"
	"strings"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Limits of what is read; each has an error of its own.
const (
	MaxRecord  = 16 << 20 // bytes of one record of a file
	MaxColumns = 2000     // SQLite's own default
	MaxHeader  = 64 << 10 // bytes of all column names together: they are part of each checkpoint
)

// source is where records come from. It holds no open file: each method opens what it needs.
type source interface {
	// header returns the columns in order, without reading more than the beginning. nil: only a
	// survey can tell.
	header(ctx context.Context) ([]column, error)
	// survey reads the whole source once: how many records there are, which columns, of which types.
	survey(ctx context.Context, o surveyOptions) (survey, error)
	// open starts reading at a position; the zero position is the beginning.
	open(ctx context.Context, cols []column, at position) (reader, error)
	// caster returns what gives a raw value of a column its type; nil: it has it already.
	caster(c column) func(value) value
	// fingerprint tells whether the source is still what it was.
	fingerprint() (fingerprint, error)
	// snapshot reports whether one reader sees one state of the source, whatever others write.
	snapshot() bool
}

// reader reads records one after the other. It is used by one goroutine.
type reader interface {
	// read fills row, which has a value for each column. It returns io.EOF at the end, a *rowError for
	// a record that can be left out, and any other error when there is no going on.
	read(row []value) error
	// line is where the last record began: a line of a file, the ordinal of a database's row.
	line() int64
	// position is where the next record begins.
	position() position
	close() error
}

// surveyOptions are what a survey looks for.
type surveyOptions struct {
	columns []string // chosen columns; nil: all
	limit   int64    // records
	types   bool     // infer the types
	typed   bool     // the destination's columns have types that bind: infer those that do not bind here
	rich    bool     // the destination has decimals of any size
	// known is what earlier files of a set have shown, and what this one adds to it; nil: the only file. last: no other follows.
	known *knowledge
	last  bool
	// bad is called for a record that cannot be read; its error ends the survey.
	bad func(*rowError) error
	// tick is called now and then with the number of records so far.
	tick func(records int64)
}

// survey is what is known of a source before anything is written.
type survey struct {
	Columns []column
	Records int64
}

// position is a place between two records.
type position struct {
	// File counts the files of a set before it.
	File int `json:"file,omitempty"`
	// Offset is in bytes, Line the number of lines before it; of files.
	Offset int64 `json:"offset,omitempty"`
	Line   int64 `json:"line,omitempty"`
	// Key is the last record's key, Record how many there were up to it; of tables.
	Key    []keyPart `json:"key,omitempty"`
	Record int64     `json:"record,omitempty"`
}

// fingerprint tells whether a source is the same as before.
type fingerprint struct {
	job.Fingerprint
	// WAL is the size and time of a SQLite source's write-ahead log, 0 without one.
	WAL int64 `json:"wal,omitempty"`
	// Rows and Snapshot are those of a PostgreSQL source.
	Rows     int64  `json:"rows,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`
}

func fileFingerprint(path string) (fingerprint, error) {
	print, err := job.FingerprintOf(path)
	return fingerprint{Fingerprint: print}, fileError(err, "source", path)
}

func newSource(p *params) source {
	switch {
	case p.SourceFormat == formatPostgres:
		return &pgSource{p: p}
	case p.SourceFormat == formatSQLite:
		return &tableSource{path: p.Source, table: p.SourceTable, query: p.Query, key: p.sourceKey}
	case isPattern(p.Source):
		return newFileSet(p)
	}
	return newFile(p)
}

// newFile returns the source that is one file of text or Parquet.
func newFile(p *params) source {
	switch p.SourceFormat {
	case formatJSONL:
		return &jsonSource{path: p.Source}
	case formatParquet:
		return &parquetSource{path: p.Source}
	}
	return &delimitedSource{path: p.Source, comma: p.SourceFormat.comma()}
}

// pick returns the named columns of all, in the order of names; all of them for nil.
func pick(all []column, names []string, path string) ([]column, error) {
	if names == nil {
		return all, nil
	}
	chosen := make([]column, 0, len(names))
	for _, name := range names {
		i := indexColumn(all, name)
		if i < 0 {
			return nil, task.Errorf(task.InvalidArgument, "columns: %s has no column %q", path, name).
				WithHint("it has %s", list(columnNames(all)))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func indexColumn(cols []column, name string) int {
	for i, c := range cols {
		if c.Name == name {
			return i
		}
	}
	return -1
}

func columnNames(cols []column) []string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return names
}

// checkColumns holds the names of a source's columns against the limits.
func checkColumns(cols []column, path string) error {
	size := 0
	for _, c := range cols {
		size += len(c.Name)
		if c.Name == "" {
			return task.Errorf(task.InvalidArgument, "%s: a column without a name", path).WithHint("choose the others with columns")
		}
		if strings.ContainsRune(c.Name, 0) { // in SQLite's eyes the statement would end there
			return task.Errorf(task.InvalidArgument, "%s: the column name %.40q holds a NUL byte", path, c.Name).
				WithHint("is it a text file, and its first line a header?")
		}
	}
	switch {
	case len(cols) > MaxColumns:
		return task.Errorf(task.InvalidArgument, "%s: more than %d columns", path, MaxColumns).
			WithHint("choose some with columns")
	case size > MaxHeader:
		return task.Errorf(task.InvalidArgument, "%s: the column names take more than %d bytes", path, MaxHeader).
			WithHint("is its first line a header? choose columns with columns")
	}
	return nil
}
