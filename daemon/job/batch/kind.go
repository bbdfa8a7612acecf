package batch

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/ipc/task"
)

// Name is the kind's name.
const Name = "batch_processing"

// Kind is the job kind batch_processing.
type Kind struct {
	programs *command.Programs
	// hook is called at named points of an attempt; its error ends the attempt there, as a crash would. Tests set it.
	hook func(point string) error
	// checkpointEvery is how far checkpoints are apart, segmentSize how long a segment of the journal becomes.
	checkpointEvery time.Duration
	segmentSize     int64
}

// Defaults of a Kind.
const (
	checkpointEvery = 700 * time.Millisecond
	segmentSize     = 4 << 20
)

var _ job.Reviver = (*Kind)(nil)

// New returns the kind, whose commands have the environments of opts.
func New(opts command.Options) *Kind {
	return &Kind{
		programs: command.NewPrograms(opts), hook: func(string) error { return nil },
		checkpointEvery: checkpointEvery, segmentSize: segmentSize,
	}
}

//go:embed schema.json
var schema []byte

// Describe implements job.Kind.
func (k *Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name: Name, Alias: "batch", Title: "Batch processing", Tool: "start_batch_processing", Schema: schema,
		Description: "Give the items of a file, the files of a pattern or numbers to a program, in batches. Survives restarts: " +
			"a batch whose end was recorded is never run again.",
	}
}

// Prepare implements job.Kind.
func (k *Kind) Prepare(ctx context.Context, spec task.Spec) (job.Plan, error) {
	p, err := decodeParams(spec.Params)
	if err != nil {
		return job.Plan{}, err
	}
	return k.plan(ctx, p)
}

func (k *Kind) plan(ctx context.Context, p params) (job.Plan, error) {
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	if err := p.check(); err != nil {
		return job.Plan{}, err
	}
	var plan job.Plan
	if len(p.Command) > 0 {
		if p.Stdin == "" {
			p.Stdin = p.Format.handover()
		}
		program, shown, err := k.programs.Find(ctx, p.Request)
		if err != nil {
			return plan, err
		}
		if plan.Secrets, err = json.Marshal(program); err != nil {
			return plan, err
		}
		p.Request, plan.Effects = shown, []task.Effect{program.Effect()}
	}
	plan.Title = p.title(p.Request)
	var err error
	plan.Params, err = json.Marshal(p)
	return plan, err
}

// Revive implements job.Reviver.
func (k *Kind) Revive(ctx context.Context, t task.Task, req task.RetryRequest) (job.Plan, error) {
	p, err := decodeParams(t.Params)
	if err != nil {
		return job.Plan{}, err
	}
	if len(p.Command) > 0 {
		if p.Request, err = k.programs.Revive(p.Request, t.Number, req); err != nil {
			return job.Plan{}, err
		}
	} else if len(req.Env) > 0 {
		return job.Plan{}, invalid("env: this task runs no command")
	}
	return k.plan(ctx, p)
}

// Run implements job.Kind.
func (k *Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	a := &attempt{kind: k, j: j, began: time.Now()}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	res, err := a.run(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}
