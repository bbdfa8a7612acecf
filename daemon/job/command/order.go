package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"durable/daemon/job"
	"durable/daemon/shim"
	"durable/ipc/task"
)

// order is what a task runs, in full: it has secrets in it.
type order struct {
	Program string            `json:"program"`
	Args    []string          `json:"args"` // the program's name first
	Dir     string            `json:"dir"`
	Env     map[string]string `json:"env,omitempty"`
	// Environ is the caller's whole environment; nil: that of the login shell, at the time of the start.
	Environ []string `json:"environ,omitempty"`
	// Caller: the environment is the caller's even if it is empty.
	Caller bool `json:"caller,omitempty"`

	Stdin        string        `json:"stdin,omitempty"`
	Nice         int           `json:"nice,omitempty"`
	Grace        time.Duration `json:"grace,omitempty"`
	KeepChildren bool          `json:"keep_children,omitempty"`
	LogLimit     int64         `json:"log_limit,omitempty"`
	Progress     string        `json:"progress,omitempty"`
}

// order holds p against this machine and makes an order of it.
func (r *runner) order(ctx context.Context, p params) (order, error) {
	if err := checkFolder(p.Cwd); err != nil {
		return order{}, err
	}
	if err := checkStdin(p.Stdin); err != nil {
		return order{}, err
	}
	o := order{
		Dir: p.Cwd, Env: p.Env, Environ: p.Environ, Caller: p.Environ != nil, Stdin: p.Stdin, Nice: p.Nice,
		Grace: time.Duration(p.Grace), KeepChildren: p.KeepChildren, LogLimit: p.LogLimit, Progress: p.Progress,
	}
	env := r.environment(ctx, o)
	if p.Shell {
		shell, flag := shellOf(env)
		o.Program, o.Args = shell, []string{shell, flag, p.Command[0]}
		return o, checkProgram(shell, shell)
	}
	program, err := find(p.Command[0], p.Cwd, env)
	if err != nil {
		return order{}, err
	}
	o.Program, o.Args = program, p.Command
	return o, nil
}

// plan returns what the engine gets to keep.
func (o order) plan(visible any, title string) (job.Plan, error) {
	shown, err := json.Marshal(visible)
	if err != nil {
		return job.Plan{}, err
	}
	secret, err := json.Marshal(o)
	if err != nil {
		return job.Plan{}, err
	}
	return job.Plan{
		Title: title, Params: shown, Secrets: secret,
		Effects: []task.Effect{{Act: task.ActRun, Program: o.Program, Folder: o.Dir}},
	}, nil
}

// scrubbed are variables that belong to the daemon's own service, not to what it runs; a * stands for any ending.
var scrubbed = []string{
	"NOTIFY_SOCKET", "LISTEN_*", "RUNTIME_DIRECTORY", "INVOCATION_ID", "MANAGERPID", "JOURNAL_STREAM", "WATCHDOG_*",
	"SYSTEMD_EXEC_PID", "DURABLE_*",
}

func isScrubbed(name string) bool {
	return slices.ContainsFunc(scrubbed, func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, "*")
		return name == pattern || wild && strings.HasPrefix(name, prefix)
	})
}

// environment is that of o's program but for what names the attempt.
func (r *runner) environment(ctx context.Context, o order) []string {
	base := o.Environ
	if !o.Caller {
		base = r.base(ctx)
	}
	values := map[string]string{}
	var names []string // in their order, each once: the last value counts
	set := func(name, value string) {
		if _, there := values[name]; !there {
			names = append(names, name)
		}
		values[name] = value
	}
	for _, kv := range base {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" && !isScrubbed(name) {
			set(envKey(name), value)
		}
	}
	for _, name := range slices.Sorted(mapKeys(o.Env)) {
		set(envKey(name), o.Env[name])
	}
	if r.opts.Tools != "" && !slices.Contains(filepath.SplitList(values["PATH"]), r.opts.Tools) {
		path := r.opts.Tools
		if values["PATH"] != "" {
			path = values["PATH"] + string(filepath.ListSeparator) + path
		}
		set("PATH", path)
	}
	for name, value := range map[string]string{"DURABLE_HOME": r.opts.Home, "DURABLE_SOCKET": r.opts.Socket} {
		if value != "" {
			set(name, value)
		}
	}
	env := make([]string, len(names))
	for i, name := range names {
		env[i] = name + "=" + values[name]
	}
	return env
}

// envKey folds the names that Windows takes for the same.
func envKey(name string) string {
	if runtime.GOOS == "windows" && strings.EqualFold(name, "PATH") {
		return "PATH"
	}
	return name
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// lookup returns the last value of a variable.
func lookup(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// spec is what the holder of one attempt gets.
func (r *runner) spec(ctx context.Context, j *job.Context, o order, at places) shim.Spec {
	t := j.Task()
	env := append(r.environment(ctx, o),
		"DURABLE_TASK_ID="+string(t.ID),
		"DURABLE_TASK_NUMBER="+formatUint(t.Number),
		"DURABLE_ATTEMPT="+formatUint(uint64(t.Attempt)),
		"DURABLE_CHECKPOINT_DIR="+at.checkpoint,
		"DURABLE_ARTIFACTS_DIR="+at.artifacts,
		"DURABLE_PROGRESS="+filepath.Join(at.attempt, fileProgress),
	)
	return shim.Spec{
		Nonce: nonce(j), Args: o.Args, Path: o.Program, Dir: o.Dir, Env: env, Nice: o.Nice, Stdin: o.Stdin,
		LogLimit: o.LogLimit, Grace: o.Grace, KeepChildren: o.KeepChildren,
	}
}

// shellOf returns the shell of an environment and its flag for a line.
func shellOf(env []string) (shell, flag string) {
	if runtime.GOOS == "windows" {
		if shell = lookup(env, "ComSpec"); shell == "" {
			shell = os.Getenv("ComSpec")
		}
		return shell, "/c"
	}
	if shell = lookup(env, "SHELL"); filepath.IsAbs(shell) && checkProgram(shell, shell) == nil {
		return shell, "-c"
	}
	return "/bin/sh", "-c"
}
