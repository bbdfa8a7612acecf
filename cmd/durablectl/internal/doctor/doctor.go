// Package doctor looks at an installation of durable and says, line by line, what is well and what mends the rest.
//
// # Design
//
// A check never changes anything and never starts a daemon: what doctor finds is what there was. Each has a time limit,
// so that one that hangs is a finding, not the end. What the checks have in common is done once, in [Run]: the daemon is
// asked who it is, and whatever needs it says so when nobody answers.
//
// The store of a daemon that runs is checked by way of a backup, since the file is locked, and the check itself is a process
// of its own (durabled check): bbolt can end the process that meets a bad page, and durablectl does not link it.
// The round trip is made with the SDK's client, in the environment that hosts give: HOME, PATH, USER and no more.
//
// A holder without a task is told by its lock, and only of tasks that have ended or that nobody knows: taking the
// lock of one that is about to start would keep it from starting.
//
// Rejected: to mend things (a doctor that is run to look must be safe to run; each finding has the command).
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// Level is how bad a finding is.
type Level string

const (
	OK      Level = "ok"
	Warning Level = "warning"
	Failure Level = "failure"
)

// Finding is one line.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// Remedy is what to type or to do; empty where nothing is wrong.
	Remedy string `json:"remedy,omitempty"`
}

// Host is a configuration file of a program that launches durable-mcp.
type Host struct {
	Name, Title, File string
	// State is yes, no, other or unreadable.
	State, Command, Error string
}

// Service is the daemon as a service of the operating system.
type Service struct {
	Manager            string
	Installed, Running bool
	// AtBoot: it starts without a login.
	AtBoot bool
	System bool
	// Package: a package of the system has brought it.
	Package bool
	Version string
	// Newer: than durablectl. Programs is the folder with the programs of that version.
	Newer    bool
	Programs string
	// Lingers is false where a user's service ends with his last login.
	Lingers bool
}

// Options say whom to ask.
type Options struct {
	// Client must not start a daemon.
	Client task.Service
	Paths  socket.Paths
	// Hosts are the files of the hosts that are installed.
	Hosts func() ([]Host, error)
	// Service looks at the service; nil: there is no such thing here.
	Service func(context.Context) (Service, error)
	// Find finds one of durable's programs; nil is client.FindProgram.
	Find func(name string) (string, error)
	Now  func() time.Time
}

// patience is how long one check may take.
const patience = 2 * time.Minute

// visit is one run.
type visit struct {
	Options
	info   *task.Info // of the daemon that answers; nil: none does
	absent error      // why not
	found  []Finding
}

// Run makes every check. tell gets each finding as it is made.
func Run(ctx context.Context, o Options, tell func(Finding)) []Finding {
	if o.Find == nil {
		o.Find = client.FindProgram
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &visit{Options: o}
	info, err := o.Client.Info(ctx)
	if err == nil {
		v.info = &info
	}
	v.absent = err
	checks := []struct {
		name string
		run  func(context.Context) []Finding
	}{
		{"programs", v.programs}, {"daemon", v.daemon}, {"service", v.service}, {"socket", v.socket}, {"config", v.config},
		{"store", v.store}, {"disk", v.disk}, {"clock", v.clock}, {"holders", v.holders}, {"environment", v.environment},
		{"hosts", v.hosts}, {"round trip", v.roundTrip},
	}
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(ctx, patience)
		for _, f := range c.run(ctx) {
			f.Check = c.name
			v.found = append(v.found, f)
			tell(f)
		}
		cancel()
	}
	return v.found
}

func ok(format string, args ...any) Finding {
	return Finding{Level: OK, Text: fmt.Sprintf(format, args...)}
}

func warning(remedy, format string, args ...any) Finding {
	return Finding{Level: Warning, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

func failure(remedy, format string, args ...any) Finding {
	return Finding{Level: Failure, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// failed is the finding of an error, with its own hint.
func failed(err error, remedy string) Finding {
	e := task.AsError(err)
	if e.Hint != "" {
		remedy = e.Hint
	}
	return failure(remedy, "%s", e.Message)
}

func one(f Finding) []Finding { return []Finding{f} }

// exited tells what a program said before it failed.
func exited(err error, stderr string) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && stderr != "" {
		return stderr
	}
	return err.Error()
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
