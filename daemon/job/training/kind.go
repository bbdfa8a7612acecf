package training

import (
	"context"
	_ "embed"
	"encoding/json"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/ipc/task"
)

// Name is the kind's name.
const Name = "ml_training"

// Kind is the job kind ml_training.
type Kind struct {
	programs *command.Kind // runs programs of the user's own
	// hook is called at named points of an attempt; its error ends the attempt there, as a crash would. Tests set it.
	hook func(point string) error
}

var (
	_ job.Survivor = (*Kind)(nil)
	_ job.Inputter = (*Kind)(nil)
	_ job.Reviver  = (*Kind)(nil)
)

// New returns the kind. opts are for programs of the user's own.
func New(opts command.Options) *Kind {
	return &Kind{programs: command.New(opts), hook: func(string) error { return nil }}
}

//go:embed schema.json
var schema []byte

// Describe implements job.Kind.
func (k *Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name: Name, Alias: "training", Title: "Training of a model", Tool: "start_ml_training", Schema: schema,
		Streams: k.programs.Describe().Streams,
		Description: "Train a classifier on texts or tables (CSV, JSON Lines), on made samples, or by a program of your own. " +
			"Goes on at the last epoch after a restart; the model is an artifact.",
	}
}

// Prepare checks the parameters, and the beginning of the data set.
func (k *Kind) Prepare(ctx context.Context, spec task.Spec) (job.Plan, error) {
	p, err := decodeParams(spec.Params)
	if err != nil {
		return job.Plan{}, err
	}
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	if len(p.Command) > 0 {
		return k.planProgram(ctx, p)
	}
	if p.Dataset != "" {
		if err := p.peek(); err != nil {
			return job.Plan{}, err
		}
	}
	return p.plan(job.Plan{})
}

// plan puts p and its title into a plan.
func (p *params) plan(plan job.Plan) (job.Plan, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return job.Plan{}, err
	}
	plan.Params, plan.Title = raw, p.title()
	return plan, nil
}

// Run does one attempt.
func (k *Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	var p params
	if err := j.Params(&p); err != nil {
		return nil, err
	}
	if len(p.Command) > 0 {
		return k.runProgram(ctx, j, p)
	}
	if j.Adopted() {
		// The engine takes every attempt for a program's. This one was in the daemon that is gone, and ended with it: the next
		// goes on from its checkpoint, and counts as one more after a crash.
		return nil, job.Ended(task.OutcomeInterrupted, task.Errorf(task.Unavailable, "the daemon went down"))
	}
	if err := j.Started(); err != nil {
		return nil, err
	}
	t := &training{j: j, p: p, hook: k.hook}
	res, err := t.run(ctx)
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Survives implements job.Survivor: a program of the user's own does. What trains in the daemon itself does not, see Run.
func (k *Kind) Survives() {}

// Input implements job.Inputter, for programs.
func (k *Kind) Input(ctx context.Context, dir string, req task.StdinRequest) (task.StdinState, error) {
	return k.programs.Input(ctx, dir, req)
}

// Revive implements job.Reviver.
func (k *Kind) Revive(ctx context.Context, t task.Task, req task.RetryRequest) (job.Plan, error) {
	p, err := decodeParams(t.Params)
	if err != nil {
		return job.Plan{}, err
	}
	if len(p.Command) > 0 {
		return k.reviveProgram(ctx, t, req, p)
	}
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	return p.plan(job.Plan{})
}
