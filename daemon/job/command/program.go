package command

import (
	"context"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Request is what a caller says of a program, as parameters of any kind that runs one. After Find it is what people may see.
type Request struct {
	Command []string          `json:"command,omitempty"`
	Cwd     string            `json:"cwd,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Environ []string          `json:"environ,omitempty"`

	// Program and Environment are set by Find: what was found on the PATH, and whose environment it has.
	Program     string `json:"program,omitempty"`
	Environment string `json:"environment,omitempty"`
}

func (q Request) params() params {
	return params{Command: q.Command, Cwd: q.Cwd, Env: q.Env, Environ: q.Environ, Program: q.Program, Environment: q.Environment}
}

// Title is what the program is called: the command as one would type it, without its secrets.
func (q Request) Title() string {
	p := q.params()
	return p.title()
}

// Program is a program in full: it has secrets in it, and as JSON belongs into a plan's Secrets.
type Program struct{ order }

// Path is the absolute path of the program, Args its arguments with its name first, Dir the folder it runs in.
func (p Program) Path() string   { return p.order.Program }
func (p Program) Args() []string { return p.order.Args }
func (p Program) Dir() string    { return p.order.Dir }

// Effect is what a policy has a say in.
func (p Program) Effect() task.Effect {
	return task.Effect{Act: task.ActRun, Program: p.order.Program, Folder: p.order.Dir}
}

// Programs finds programs and their environments for other kinds that run them.
type Programs struct{ runner }

// NewPrograms returns Programs whose environments are those of opts.
func NewPrograms(opts Options) *Programs { return &Programs{newRunner(opts)} }

// Find checks q as the kind command does, and returns the program and what may be shown of it.
func (s *Programs) Find(ctx context.Context, q Request) (Program, Request, error) {
	p := q.params()
	if err := p.normalize(); err != nil {
		return Program{}, q, err
	}
	o, err := s.order(ctx, p)
	if err != nil {
		return Program{}, q, err
	}
	v := p.visible(o)
	return Program{o}, Request{
		Command: v.Command, Cwd: v.Cwd, Env: v.Env, Environ: v.Environ, Program: v.Program, Environment: v.Environment,
	}, nil
}

// Recall returns the program of a task from its secrets. Where these are gone, as they are from a backup, what needs none
// is found anew.
func (s *Programs) Recall(ctx context.Context, j *job.Context, shown Request) (Program, error) {
	o, err := s.recall(ctx, j, shown.params())
	return Program{o}, err
}

// Revive makes of what is shown of the program of a task one to Find again: secrets are gone with the end of a task, and the
// request brings those that are needed.
func (s *Programs) Revive(shown Request, number uint64, req task.RetryRequest) (Request, error) {
	p := shown.params()
	if err := p.revive(number, req); err != nil {
		return shown, err
	}
	shown.Env, shown.Environ, shown.Environment = p.Env, p.Environ, ""
	return shown, nil
}

// Environ is the environment of p's program, but for what names the attempt.
func (s *Programs) Environ(ctx context.Context, p Program) []string {
	return s.environment(ctx, p.order)
}

// Absolute expands ~ in the path that the parameter name has, and refuses what is no absolute path of this machine.
func Absolute(name, path string) (string, error) { return absolute(name, path) }
