package migration

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"durable/daemon/job"
	"durable/ipc/task"
)

// MaxTables is how many tables table=* takes: what has been done of each is part of the checkpoint.
const MaxTables = 1000

// all reports whether the migration is of every table of the source.
func (p *params) all() bool { return p.Table == allTables }

// one returns the parameters of one of the tables.
func (p *params) one(name string) params {
	q := *p
	q.Table, q.Tables, q.SourceTable = "", nil, name
	plain := name
	if isPostgres(p.Source) {
		if n, err := parsePGName(name); err == nil {
			plain = strings.TrimPrefix(n.schema+"."+n.table, ".")
		}
	}
	switch {
	case !p.DestinationFormat.database():
		q.Destination = filepath.Join(p.Destination, plain+"."+string(p.DestinationFormat))
	case p.DestinationFormat == formatSQLite:
		q.DestinationTable = plain
	case isPostgres(p.Source):
		q.DestinationTable = name
	default:
		q.DestinationTable = dotless(name)
	}
	return q
}

// checkAll is check for every table of the source.
func (p *params) checkAll(ctx context.Context) error {
	if err := p.checkAllChoices(); err != nil {
		return err
	}
	if err := p.checkSource(); err != nil {
		return err
	}
	if !p.SourceFormat.database() {
		return task.Errorf(task.InvalidArgument, "table: the source is %s, no database", p.SourceFormat)
	}
	if err := p.checkAllDestination(); err != nil {
		return err
	}
	names, err := p.everyTable(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		q := p.one(name)
		if err := q.check(ctx); err != nil {
			return inTable(err, name)
		}
	}
	p.Tables = names
	return nil
}

// inTable says which of the tables an error is about.
func inTable(err error, name string) error {
	var known *task.Error
	if !errors.As(err, &known) {
		return fmt.Errorf("table %s: %w", name, err)
	}
	e := *known
	e.Message, e.Err = fmt.Sprintf("table %s: %s", name, known.Message), err // what else err says, as job.Permanent, stays true
	return &e
}

// checkAllChoices refuses what only one table has.
func (p *params) checkAllChoices() error {
	for _, c := range []struct {
		name  string
		given bool
	}{
		{"source_table", p.SourceTable != ""}, {"destination_table", p.DestinationTable != ""}, {"columns", p.Columns != nil},
		{"key", p.Key != ""}, {"record_count", p.RecordCount != nil}, {"mode=upsert", p.Mode == modeUpsert},
	} {
		if c.given {
			return task.Errorf(task.InvalidArgument, "%s: table=* stands for all tables, and this is for one", c.name).
				WithHint("leave it out, or start one migration for that table")
		}
	}
	return nil
}

// checkAllDestination takes a database, or a folder for one file of each table.
func (p *params) checkAllDestination() error {
	if info, err := os.Stat(p.Destination); isPostgres(p.Destination) || err != nil || !info.IsDir() {
		if err := p.checkDestination(); err != nil {
			return err
		}
		if !p.DestinationFormat.database() {
			return task.Errorf(task.InvalidArgument, "destination %s: one file of %s for all tables", p.Destination, p.DestinationFormat).
				WithHint("name a database, or a folder that is there")
		}
		if p.OnError == onErrorFile {
			return task.Errorf(task.Unimplemented, "on_error=file: not for all tables of a database at once").
				WithHint("use skip, or start one migration for each table")
		}
		return nil
	}
	if p.DestinationFormat == "" || p.DestinationFormat.database() {
		return task.Errorf(task.InvalidArgument, "destination %s: a folder; which format?", p.Destination).
			WithHint("with destination_format, name csv, tsv, jsonl or parquet; or name a database")
	}
	return nil
}

// everyTable names the tables of the source, in an order that stays. Views are not copied.
func (p *params) everyTable(ctx context.Context) ([]string, error) {
	names, err := p.baseTables(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case len(names) == 0:
		return nil, task.Errorf(task.InvalidArgument, "source %s: a database without tables", p.Source)
	case len(names) > MaxTables:
		return nil, task.Errorf(task.InvalidArgument, "source %s: %d tables, more than %d", p.Source, len(names), MaxTables).
			WithHint("start one migration for each part of them")
	}
	seen := map[string]string{}
	for _, name := range names {
		q := p.one(name)
		place := first(q.DestinationTable, filepath.Base(q.Destination))
		if !p.DestinationFormat.database() && (filepath.Dir(q.Destination) != filepath.Clean(p.Destination) || strings.ContainsAny(name, `/\`)) {
			return nil, task.Errorf(task.InvalidArgument, "table %q: its name is none of a file", name).
				WithHint("start one migration for that table")
		}
		if p.DestinationFormat != formatPostgres { // SQLite and some file systems ignore the case
			place = strings.ToLower(place)
		}
		if other, twice := seen[place]; twice {
			return nil, task.Errorf(task.InvalidArgument, "tables %s and %s: one place for both in the destination, %s", other, name, place).
				WithHint("start one migration for each of them")
		}
		seen[place] = name
	}
	return names, nil
}

func (p *params) baseTables(ctx context.Context) (names []string, err error) {
	if p.SourceFormat == formatPostgres {
		return p.sourceTables(ctx)
	}
	db, err := openDatabase(ctx, "source", p.Source, readOnly)
	if err != nil {
		return nil, err
	}
	err = db.each(ctx, func(row []driver.Value) error {
		names = append(names, toText(row[0]))
		return nil
	}, `select name from pragma_table_list where schema = 'main' and type in ('table', 'virtual')
		and name not like 'sqlite\_%' escape '\' and name <> ? order by name`, positionTable)
	return names, errors.Join(err, db.close())
}

// allEffects are the effects on each table's place.
func (p *params) allEffects() []task.Effect {
	var all []task.Effect
	for _, name := range p.Tables {
		q := p.one(name)
		all = append(all, q.effects()...)
		if p.DestinationFormat == formatSQLite {
			break // one file for all
		}
	}
	return all
}

// cleanTables removes the positions of all.
func (p *params) cleanTables(ctx context.Context, root task.ID) error {
	var errs []error
	for _, name := range p.Tables {
		q := p.one(name)
		errs = append(errs, q.clean(ctx, tableRoot(root, name)))
	}
	return errors.Join(errs...)
}

// tablesState is the checkpoint of a migration of all tables: those that are complete, and how far the next one is.
type tablesState struct {
	Tables  []tableResult `json:"tables"`
	Current *state        `json:"current,omitempty"`
	Elapsed task.Duration `json:"elapsed,omitempty"`
}

// tableResult is what became of one table.
type tableResult struct {
	Table       string          `json:"table"`
	Migrated    int64           `json:"migrated_records"`
	Total       int64           `json:"total_records"`
	ContentHash string          `json:"content_hash,omitempty"`
	Skipped     int64           `json:"skipped_records,omitempty"`
	Columns     []plannedColumn `json:"columns,omitempty"`
	CreateTable string          `json:"create_table,omitempty"`
}

// tables is an attempt at all of them, one after the other: each is a migration of its own, whose checkpoint is a part.
type tables struct {
	j     *job.Context
	p     params
	state tablesState
	sum   result
	one   func(p params) *migration // begins an attempt at one
}

// runTables goes on with the table that the last attempt was at.
func (k *Kind) runTables(ctx context.Context, j *job.Context, p params) (*result, error) {
	t := &tables{j: j, p: p}
	t.one = func(p params) *migration {
		return &migration{j: j, p: p, hook: k.hook, commitEvery: k.commitEvery, patience: k.patience, within: t}
	}
	if _, err := j.Load(&t.state); err != nil {
		return nil, err
	}
	start, before := time.Now(), t.state.Elapsed
	t.sum = result{Source: p.Source, Destination: p.Destination, Success: !p.DryRun, Verified: !p.DryRun, DryRun: p.DryRun, Skips: []skip{}, Table: allTables}
	for _, done := range t.state.Tables {
		t.add(done)
	}
	t.sum.ResumedFrom = t.sum.Migrated
	if t.state.Current != nil {
		t.sum.ResumedFrom += t.state.Current.Done.Records
	}
	for _, name := range p.Tables[len(t.state.Tables):] {
		j.Logf("table %d of %d: %s", len(t.state.Tables)+1, len(p.Tables), name)
		if err := t.run(ctx, name); err != nil {
			return nil, inTable(err, name)
		}
		t.state.Elapsed = before + task.Duration(time.Since(start))
		if err := t.checkpoint(nil); err != nil {
			return nil, err
		}
	}
	t.sum.CompletionTime, t.sum.Duration = unixSeconds(time.Now()), (time.Duration(before) + time.Since(start)).Seconds()
	j.Logf("%d tables, %s records", len(p.Tables), humanize.Comma(t.sum.Migrated))
	j.Progress(task.Progress{Done: t.sum.Migrated, Total: task.Total(t.sum.Total), Unit: "records",
		Message: fmt.Sprintf("Migrated %d/%d records of %d tables%s", t.sum.Migrated, t.sum.Total, len(p.Tables), skippedText(t.sum.Skipped))})
	return &t.sum, nil
}

// run migrates one table, and enters it.
func (t *tables) run(ctx context.Context, name string) error {
	res, err := t.one(t.p.one(name)).persist(ctx)
	if err != nil {
		return err
	}
	done := tableResult{name, res.Migrated, res.Total, res.ContentHash, res.Skipped, res.Columns, res.CreateTable}
	for _, s := range res.Skips {
		if len(t.sum.Skips) < maxSkips {
			t.sum.Skips = append(t.sum.Skips, skip{s.Line, name + ": " + s.Error})
		}
	}
	if t.p.DestinationFormat.database() {
		t.sum.Bytes = res.Bytes // of the whole database
	} else {
		t.sum.Bytes += res.Bytes
	}
	t.sum.CopySeconds += res.CopySeconds
	t.sum.VerifySecs += res.VerifySecs
	t.state.Tables = append(t.state.Tables, done)
	t.add(done)
	return nil
}

func (t *tables) add(done tableResult) {
	t.sum.Tables = append(t.sum.Tables, done)
	t.sum.Migrated += done.Migrated
	t.sum.Total += done.Total
	t.sum.Skipped += done.Skipped
}

// checkpoint keeps what is done, and how far the current table is.
func (t *tables) checkpoint(current *state) error {
	t.state.Current = current
	if t.p.DryRun {
		return nil // it begins anew each time
	}
	return t.j.Checkpoint(t.state)
}

// report is that of the current table, and of those before.
func (t *tables) report(p task.Progress) {
	n := len(t.state.Tables)
	p.Done += t.sum.Migrated
	p.Total = nil // the next tables are not counted yet
	p.Message = fmt.Sprintf("Table %d/%d, %s: %s", n+1, len(t.p.Tables), t.p.Tables[n], p.Message)
	t.j.Progress(p)
}

// root names the line of tasks as the owner of a position: each of several tables has its own.
func (m *migration) root() task.ID {
	if m.within == nil {
		return m.j.RootID()
	}
	return tableRoot(m.j.RootID(), m.p.SourceTable)
}

func tableRoot(root task.ID, table string) task.ID { return root + "/" + task.ID(table) }

func (m *migration) load(st *state) (bool, error) {
	if m.within == nil {
		return m.j.Load(st)
	}
	if m.within.state.Current == nil {
		return false, nil
	}
	*st = *m.within.state.Current
	return true, nil
}

func (m *migration) keep(st *state) error {
	if m.within == nil {
		return m.j.Checkpoint(st)
	}
	return m.within.checkpoint(st)
}

func (m *migration) progress(p task.Progress) {
	if m.within == nil {
		m.j.Progress(p)
		return
	}
	m.within.report(p)
}
