package migration

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"sync"
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
	// patience is how long an attempt waits for a database server that is gone.
	patience time.Duration
	// secrets are the passwords of tasks that this process has run, by task.ID, for Clean: by then the engine has none.
	secrets *sync.Map
}

// commitEvery keeps the promise "at least once a second" though a commit takes some time itself.
const commitEvery = 700 * time.Millisecond

// New returns the kind.
func New() *Kind {
	return &Kind{hook: func(string) error { return nil }, commitEvery: commitEvery, patience: patience, secrets: new(sync.Map)}
}

//go:embed schema.json
var schema []byte

// Describe returns the kind's name, texts and schema.
func (k *Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name:  "data_migration",
		Alias: "migration",
		Title: "Data migration",
		Description: "Move records between CSV, TSV, JSON Lines, Parquet and SQLite files and PostgreSQL tables. Survives " +
			"restarts without losing or doubling a record, and re-reads the destination to prove it.",
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
	if p.usesPostgres() {
		inner, cancel := context.WithTimeout(ctx, pgCheckTimeout)
		defer cancel()
		ctx = inner
	}
	if err := p.check(ctx); err != nil {
		return job.Plan{}, err
	}
	return p.plan()
}

// plan is what the engine keeps of p: the parameters that everybody may see, and apart from them the passwords.
func (p *params) plan() (job.Plan, error) {
	plan := job.Plan{Title: p.title(), Effects: p.effects()}
	var err error
	if plan.Params, err = json.Marshal(p); err == nil && p.secret != (passwords{}) {
		plan.Secrets, err = json.Marshal(p.secret)
	}
	return plan, err
}

// Revive implements job.Reviver. The passwords of the old task are gone: env brings those that were given literally,
// by the names of their parameters.
func (k *Kind) Revive(ctx context.Context, t task.Task, req task.RetryRequest) (job.Plan, error) {
	p, err := decodeParams(t.Params)
	if err != nil {
		return job.Plan{}, err
	}
	for name, value := range req.Env {
		switch name {
		case "source_password":
			p.SourcePassword = value
		case "destination_password":
			p.DestinationPassword = value
		default:
			return job.Plan{}, task.Errorf(task.InvalidArgument, "env: a data_migration takes no %s", name).
				WithHint("only source_password and destination_password, as parameters that are not kept")
		}
	}
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	if p.SourcePassword == maskedPassword && p.secret.Source == "" {
		return job.Plan{}, errNoSecret("source_password")
	}
	if p.DestinationPassword == maskedPassword && p.secret.Destination == "" {
		return job.Plan{}, errNoSecret("destination_password")
	}
	if !req.Fresh {
		plan, err := p.plan()
		plan.Title, plan.Retry = t.Title, t.Retry
		return plan, err
	}
	raw, err := json.Marshal(p.withSecrets())
	if err != nil {
		return job.Plan{}, err
	}
	plan, err := k.Prepare(ctx, task.Spec{Kind: t.Kind, Title: t.Title, Params: raw, Retry: t.Retry})
	var known *task.Error
	if errors.As(err, &known) {
		e := *known
		err = e.WithHint("a retry has the parameters of task %d, and begins anew: clear the way first, or start a new task with others", t.Number)
	}
	return plan, err
}

// Run does one attempt.
func (k *Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	m := &migration{j: j, hook: k.hook, commitEvery: k.commitEvery, patience: k.patience}
	if err := j.Params(&m.p); err != nil {
		return nil, err
	}
	if err := j.Secrets(&m.p.secret); err != nil {
		return nil, job.Permanent(err)
	}
	if m.p.secret.Destination != "" {
		k.secrets.Store(j.ID(), m.p.secret)
	}
	var res *result
	var err error
	if m.p.all() {
		res, err = k.runTables(ctx, j, m.p)
	} else {
		res, err = m.persist(ctx)
	}
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
	if secret, ok := k.secrets.LoadAndDelete(t.ID); ok {
		p.secret, _ = secret.(passwords) // nothing else is put in
	}
	if t.Status != task.StatusCompleted || p.DryRun {
		return nil
	}
	if p.all() {
		return p.cleanTables(ctx, t.RootID)
	}
	return p.clean(ctx, t.RootID)
}

// clean removes the position of one table.
func (p *params) clean(ctx context.Context, root task.ID) error {
	if p.DestinationFormat == formatPostgres {
		return p.cleanPostgres(ctx, root)
	}
	if p.DestinationFormat != formatSQLite {
		return nil
	}
	if _, err := os.Stat(p.Destination); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	db, err := openDatabase(ctx, "destination", p.Destination, readWrite)
	if err != nil {
		return err
	}
	return errors.Join(removePosition(ctx, db, root), db.close())
}
