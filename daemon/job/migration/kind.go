package migration

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Kind is the job kind data_migration.
type Kind struct {
	// hook is called at named points of an attempt; its error ends the attempt there, as a crash
	// would. Tests set it.
	hook func(point string) error
	// commitEvery is how often position and data are made durable.
	commitEvery time.Duration
}

// commitEvery keeps the promise "at least once a second" though a commit takes some time itself.
const commitEvery = 700 * time.Millisecond

// New returns the kind.
func New() *Kind {
	return &Kind{hook: func(string) error { return nil }, commitEvery: commitEvery}
}

//go:embed schema.json
var schema []byte

// Describe returns the kind's name, texts and schema.
func (k *Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name:  "data_migration",
		Alias: "migration",
		Title: "Data migration",
		Description: "Move records between CSV, TSV, JSON Lines, Parquet and SQLite files. Survives restarts without " +
			"losing or doubling a record, and re-reads the destination to prove it.",
		Tool:   "start_data_migration",
		Schema: schema,
	}
}

// Prepare checks the parameters, and the files that they name as far as that is quick.
func (k *Kind) Prepare(ctx context.Context, spec task.Spec) (job.Plan, error) {
	p, err := decodeParams(spec.Params)
	if err != nil {
		return job.Plan{}, err
	}
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	if err := p.check(ctx); err != nil {
		return job.Plan{}, err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return job.Plan{}, err
	}
	return job.Plan{Title: p.title(), Params: raw, Effects: p.effects()}, nil
}

// Run does one attempt.
func (k *Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	m := &migration{j: j, hook: k.hook, commitEvery: k.commitEvery}
	if err := j.Params(&m.p); err != nil {
		return nil, err
	}
	res, err := m.run(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx) // a driver knows only that its context is done
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Clean removes the position of a completed migration from the database that it went to. Of a failed
// or cancelled one it stays, and so does the partial file: a retry goes on from there.
func (k *Kind) Clean(ctx context.Context, t task.Task) error {
	var p params
	if err := json.Unmarshal(t.Params, &p); err != nil {
		return err
	}
	if t.Status != task.StatusCompleted || p.DryRun || p.DestinationFormat != formatSQLite {
		return nil
	}
	if _, err := os.Stat(p.Destination); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	db, err := openDatabase(ctx, "destination", p.Destination, readWrite)
	if err != nil {
		return err
	}
	return errors.Join(removePosition(ctx, db, t.RootID), db.close())
}
