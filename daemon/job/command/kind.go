package command

import (
	"context"
	_ "embed"
	"time"

	"durable/daemon/job"
	"durable/daemon/shim"
	"durable/ipc/task"
)

// Name is the kind's name.
const Name = "command"

// Options are what programs are run with. The zero value works; a daemon has a Watch and an Environment.
type Options struct {
	Launcher shim.Launcher
	// Watch tells when something in a folder has changed; nil: it is looked at twice a second.
	Watch Watcher
	// Environment returns the environment of programs whose callers bring none; nil: the daemon's own.
	Environment func(ctx context.Context) []string
	// Home and Socket become DURABLE_HOME and DURABLE_SOCKET of each program; an empty one is not set.
	Home, Socket string
	// Tools is the folder of durablectl, which PATH ends with; empty: that of the own executable.
	Tools string
	// Limits are shared by all templates of a daemon, so that they outlive a reload; nil: each has its own.
	Limits *Limits
}

// Watcher tells of changes. The channel gets a value soon after something in dir was written; several changes may
// be one value. stop ends that.
type Watcher interface {
	Watch(dir string) (changed <-chan struct{}, stop func())
}

// Kind is the job kind command.
type Kind struct{ runner }

var (
	_ job.Survivor  = (*Kind)(nil)
	_ job.Furnisher = (*Kind)(nil)
	_ job.Inputter  = (*Kind)(nil)
	_ job.Reviver   = (*Kind)(nil)
)

// New returns the kind.
func New(opts Options) *Kind { return &Kind{newRunner(opts)} }

//go:embed schema.json
var schema []byte

// streams are what an attempt of a program writes.
func streams() []string {
	return []string{task.StreamStdout, task.StreamStderr, task.StreamLog}
}

// Describe implements job.Kind.
func (k *Kind) Describe() task.KindInfo {
	return task.KindInfo{
		Name: Name, Alias: "run", Title: "Command", Tool: "start_command", Schema: schema, Streams: streams(),
		Description: "Run any program. It goes on when the host, the proxy or the daemon dies, and its output and its true " +
			"exit status are found again.",
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

// plan checks p and makes an order of it.
func (r *runner) plan(ctx context.Context, p params) (job.Plan, error) {
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	o, err := r.order(ctx, p)
	if err != nil {
		return job.Plan{}, err
	}
	return o.plan(p.visible(o), p.title())
}

// Run implements job.Kind.
func (k *Kind) Run(ctx context.Context, j *job.Context) (any, error) {
	o, err := k.ordered(ctx, j)
	if err != nil {
		return nil, job.Permanent(err)
	}
	return k.run(ctx, j, o)
}

// ordered returns what Prepare made. A backup has no secrets: what needs none is made anew.
func (k *Kind) ordered(ctx context.Context, j *job.Context) (order, error) {
	var o order
	err := j.Secrets(&o)
	if j.Adopted() { // it runs, or has run: nothing of the order is needed but the ways to look at it
		return o, nil
	}
	if err != nil || o.Program != "" {
		return o, err
	}
	var p params
	if err := j.Params(&p); err != nil {
		return o, err
	}
	return k.recall(ctx, j, p)
}

// recall returns the order of a task whose parameters are p: what Prepare made, or, where that needs no secrets, a new one.
func (r *runner) recall(ctx context.Context, j *job.Context, p params) (order, error) {
	var o order
	if err := j.Secrets(&o); err != nil || o.Program != "" {
		return o, err
	}
	if p.Environment == fromCaller {
		return o, task.Errorf(task.FailedPrecondition, "the environment of the task is not there any more").
			WithHint("start it anew: secrets are not in a backup unless it was made with --with-secrets")
	}
	if err := p.refuseMasked(j.Task().Number); err != nil {
		return o, err
	}
	return r.order(ctx, p)
}

// Survives implements job.Survivor.
func (r *runner) Survives() {}

// Furnish implements job.Furnisher.
func (r *runner) Furnish(dir string) { r.opts.Launcher.Furnish(dir) }

// maxInput is how long the whole input of a program may become.
const maxInput = 1 << 30

// Input implements job.Inputter.
func (r *runner) Input(_ context.Context, dir string, req task.StdinRequest) (task.StdinState, error) {
	return shim.Input(dir, req, maxInput)
}

// Revive implements job.Reviver. Of the environment that a caller brought nothing is left: the new task gets that of
// who repeats it, or else the login shell's. One that had the login shell's keeps to it.
func (k *Kind) Revive(ctx context.Context, t task.Task, req task.RetryRequest) (job.Plan, error) {
	p, err := decodeParams(t.Params)
	if err != nil {
		return job.Plan{}, err
	}
	if err := p.revive(t.Number, req); err != nil {
		return job.Plan{}, err
	}
	return k.plan(ctx, p)
}

func (p *params) revive(number uint64, req task.RetryRequest) error {
	if p.Environment == fromCaller {
		p.Environ = req.Environ
	}
	p.Environment = ""
	for name, value := range req.Env {
		if p.Env == nil {
			p.Env = map[string]string{}
		}
		p.Env[name] = value
	}
	return p.refuseMasked(number)
}

// Defaults and limits of the parameters.
const (
	DefaultLogLimit = 64 << 20
	minLogLimit     = 64 << 10
	maxLogLimit     = 1 << 40
	maxGrace        = time.Hour
	maxNice         = 19
	maxArgs         = 10_000
)
