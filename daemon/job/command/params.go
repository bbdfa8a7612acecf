package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command/progress"
	"durable/daemon/shim"
	"durable/ipc/task"
)

// params are the parameters as callers give them and as Prepare leaves them for people to see.
type params struct {
	Command []string `json:"command,omitempty"`
	Script  string   `json:"script,omitempty"`
	Shell   bool     `json:"shell,omitempty"`

	Cwd     string            `json:"cwd,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Environ []string          `json:"environ,omitempty"`

	Stdin        string        `json:"stdin,omitempty"`
	Nice         int           `json:"nice,omitempty"`
	Grace        task.Duration `json:"grace,omitempty"`
	KeepChildren bool          `json:"keep_children,omitempty"`
	LogLimit     int64         `json:"log_limit,omitempty"`
	Progress     string        `json:"progress,omitempty"`

	// Program and Environment are Prepare's: what was found on the PATH, and whose environment it has.
	Program     string `json:"program,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// Whose environment a program has.
const (
	fromCaller     = "caller"
	fromLoginShell = "login-shell"
)

func invalid(format string, args ...any) *task.Error {
	return task.Errorf(task.InvalidArgument, format, args...)
}

// decodeParams reads the parameters; an unknown one is refused by name.
func decodeParams(raw json.RawMessage) (params, error) {
	var p params
	err := job.Decode(raw, &p,
		"command takes command (or script with shell), cwd, env, stdin, nice, grace, keep_children, log_limit and progress")
	return p, err
}

// normalize checks what can be checked without looking at the disk, and fills in the defaults.
func (p *params) normalize() error {
	if err := p.normalizeCommand(); err != nil {
		return err
	}
	var err error
	if p.Cwd, err = absolute("cwd", p.Cwd); err != nil {
		return err
	}
	if p.Stdin != "" && p.Stdin != shim.StdinOpen {
		if p.Stdin, err = absolute("stdin", p.Stdin); err != nil {
			return err
		}
	}
	switch grace := time.Duration(p.Grace); {
	case p.Nice < 0 || p.Nice > maxNice:
		return invalid("nice: %d, want 0 to %d", p.Nice, maxNice).WithHint("19 is the nicest to other programs")
	case grace < 0 || grace > maxGrace:
		return invalid("grace: %s, want 0s to %s", grace, maxGrace)
	case p.LogLimit != 0 && (p.LogLimit < minLogLimit || p.LogLimit > maxLogLimit):
		return invalid("log_limit: %d, want %d to %d bytes", p.LogLimit, minLogLimit, int64(maxLogLimit))
	}
	if p.Grace == 0 {
		p.Grace = task.Duration(shim.DefaultGrace)
	}
	if p.LogLimit == 0 {
		p.LogLimit = DefaultLogLimit
	}
	if p.Progress != "" {
		if _, err := progress.NewPattern(p.Progress); err != nil {
			return err
		}
	}
	return p.checkEnv()
}

func (p *params) normalizeCommand() error {
	const hint = `give the program and its arguments as an array: ["make", "-j8"]`
	if p.Script != "" {
		switch {
		case len(p.Command) > 0:
			return invalid("command and script: want one of them")
		case !p.Shell:
			return invalid("script: only with shell=true").WithHint(hint)
		}
		p.Command, p.Script = []string{p.Script}, ""
	}
	switch {
	case len(p.Command) == 0:
		return invalid("command: missing").WithHint(hint)
	case strings.TrimSpace(p.Command[0]) == "":
		return invalid("command: the program is empty").WithHint(hint)
	case p.Shell && len(p.Command) > 1:
		return invalid("command: %d elements with shell=true, want one line", len(p.Command)).
			WithHint("leave shell out to run a program with arguments")
	case len(p.Command) > maxArgs:
		return invalid("command: %d elements, the limit is %d", len(p.Command), maxArgs).WithHint("put the list into a file")
	}
	for i, arg := range p.Command {
		if strings.ContainsRune(arg, 0) {
			return invalid("command: element %d holds a NUL byte", i)
		}
	}
	return nil
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkEnv never says a value.
func (p *params) checkEnv() error {
	for name, value := range p.Env {
		switch {
		case !envName.MatchString(name):
			return invalid("env: %q is no name of a variable", name).WithHint("letters, digits and _, not beginning with a digit")
		case strings.ContainsRune(value, 0):
			return invalid("env: the value of %s holds a NUL byte", name)
		case strings.HasPrefix(name, "DURABLE_"):
			return invalid("env: %s is the daemon's to set", name)
		}
	}
	for i, kv := range p.Environ { // a shell exports functions under names that no person would choose
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" && !strings.HasPrefix(kv, "=") || strings.ContainsRune(kv, 0) {
			return invalid("environ: element %d is not NAME=value", i)
		}
	}
	return p.refuseMasked(0)
}

// refuseMasked refuses parameters that were shown to people, where they had secrets in them. They are those of the task
// of that number; 0: of none yet.
func (p *params) refuseMasked(number uint64) error {
	var gone []string
	for name, value := range p.Env {
		if value == masked {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		slices.Sort(gone)
		return task.Errorf(task.FailedPrecondition, "env: the values of %s are not there any more", strings.Join(gone, ", ")).
			WithHint("give them again: %s--env %s=...", again(number), strings.Join(gone, "=... --env "))
	}
	for _, arg := range p.Command {
		if strings.Contains(arg, masked) {
			return task.Errorf(task.FailedPrecondition, "command: it had a secret in it, which is not there any more").
				WithHint("start it anew, better with the secret in env than among the arguments")
		}
	}
	return nil
}

// again is how the repetition of a task begins, as one types it.
func again(number uint64) string {
	if number == 0 {
		return ""
	}
	return "durablectl retry " + formatUint(number) + " "
}

// absolute expands ~ and refuses what is no absolute path of this machine.
func absolute(name, path string) (string, error) {
	switch {
	case path == "":
		return "", invalid("%s: missing", name).WithHint("give an absolute path: the daemon has no folder of yours to start from")
	case strings.ContainsRune(path, 0):
		return "", invalid("%s: holds a NUL byte", name)
	}
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", invalid("%s: %s: no home folder: %w", name, path, err).WithHint("give an absolute path")
		}
		path = filepath.Join(home, path[1:])
	}
	if !filepath.IsAbs(path) {
		return "", invalid("%s: %s is a relative path", name, path).
			WithHint("give an absolute path: the daemon has no folder of yours to start from")
	}
	return filepath.Clean(path), nil
}

// visible returns what people may see of p.
func (p *params) visible(o order) params {
	v := *p
	v.Command = maskArgs(p.Command, p.Shell)
	v.Program = Mask(o.Program)
	v.Environ, v.Environment = nil, fromLoginShell
	if p.Environ != nil {
		v.Environment = fromCaller
	}
	v.Env = nil
	for name := range p.Env {
		if v.Env == nil {
			v.Env = map[string]string{}
		}
		v.Env[name] = masked
	}
	return v
}
