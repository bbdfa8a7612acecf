package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command/progress"
	"durable/daemon/shim"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// result is that of a program that exited with 0.
type result struct {
	ExitCode   int           `json:"exit_code"`
	Duration   task.Duration `json:"duration"`
	UserTime   task.Duration `json:"user_time"`
	SystemTime task.Duration `json:"system_time"`
	MaxRSS     int64         `json:"max_rss_bytes,omitempty"`
}

// judge makes of what was seen of a program's end that of the attempt.
func (a *attempt) judge(exit shim.Exit, err error, f *follower) (any, error) {
	switch {
	case errors.Is(err, shim.ErrNotExecuted):
		return nil, notRun(err)
	case errors.Is(err, shim.ErrInterrupted):
		a.saved.look(true)
		return nil, job.Ended(task.OutcomeInterrupted, err)
	case err != nil:
		return nil, job.Ended(task.OutcomeLost, err)
	case exit.Error != "":
		return nil, task.Errorf(task.Unavailable, "the program was not run: %s", Mask(exit.Error))
	case exit.Signal != "":
		return nil, job.Ended(task.OutcomeSignaled, a.failure(signaled(exit), f).WithDetail("signal", exit.Signal))
	case exit.Code != 0:
		return nil, a.failure(fmt.Sprintf("exit status %d", exit.Code), f).WithDetail("exit_code", exit.Code)
	}
	return result{
		Duration: rounded(exit.Ended.Sub(exit.Started)), UserTime: rounded(exit.UserTime), SystemTime: rounded(exit.SystemTime),
		MaxRSS: exit.MaxRSS,
	}, nil
}

func rounded(d time.Duration) task.Duration {
	return task.Duration(max(0, d).Round(time.Millisecond))
}

// failure is the error of a program that ended badly, with what it said last.
func (a *attempt) failure(message string, f *follower) *task.Error {
	e := task.Errorf(task.Unavailable, "%s", message)
	last := f.tracker.LastLine(progress.Stderr)
	for _, value := range a.o.Env { // programs repeat what they were given
		if len(value) >= leastSecret {
			last = strings.ReplaceAll(last, value, masked)
		}
	}
	if last = Mask(last); last != "" {
		e = e.WithDetail("last_line", last)
	}
	return e
}

// leastSecret is how long a value is whose reappearance is no accident.
const leastSecret = 6

// signals are the words that a shell has for them.
var signals = map[string]string{
	"SIGHUP": "hangup", "SIGINT": "interrupt", "SIGQUIT": "quit", "SIGILL": "illegal instruction", "SIGTRAP": "trace trap",
	"SIGABRT": "aborted", "SIGBUS": "bus error", "SIGFPE": "floating point exception", "SIGKILL": "killed",
	"SIGSEGV": "segmentation fault", "SIGPIPE": "broken pipe", "SIGALRM": "alarm clock", "SIGTERM": "terminated",
	"SIGXCPU": "CPU time limit exceeded", "SIGXFSZ": "file size limit exceeded", "SIGSYS": "bad system call",
}

func signaled(exit shim.Exit) string {
	name := signals[exit.Signal]
	if name == "" {
		name = exit.Signal
	}
	if exit.CoreDumped {
		name += " (core dumped)"
	}
	return "signal: " + name
}

// otherBoot reports whether the program was started in another boot of the machine.
func (a *attempt) otherBoot() bool {
	data, err := os.ReadFile(filepath.Join(a.at.attempt, protocol.FileStarted))
	if err != nil {
		return false
	}
	started, err := protocol.ParseStarted(data)
	boot := shim.BootID
	if a.opts.Launcher.Boot != nil {
		boot = a.opts.Launcher.Boot
	}
	return err == nil && started.Boot != boot()
}
