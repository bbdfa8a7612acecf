// Package config reads config.toml: what a person has decided about his daemon.
//
//	[policy]
//	commands = "ask"                  # allow, ask, list or deny: what comes through MCP and runs a program or overwrites a file
//	cli = "allow"                     # the same for everything else: durablectl, curl
//	programs = ["/usr/bin/make"]      # these are not asked about; with "list", they are all there is
//	folders = ["~/src"]               # where: left out, programs run anywhere, and no file is overwritten unasked
//
//	[environment]
//	source = "login-shell"            # or "daemon": what programs get that come without an environment of their own
//	path = ["~/bin"]                  # goes before PATH
//	set = { LANG = "C.UTF-8" }
//
//	[retention]
//	days = 30                         # how long the tasks that have ended are kept; 0: for ever
//	max = "10GiB"                     # how much their folders may take; "0": no limit
//
//	[http]
//	address = "127.0.0.1:8080"        # MCP by streamable HTTP at /mcp, for clients that cannot launch a program; from the next start on
//	auth = "token"                    # durablectl token prints it; "none" lets in whoever connects, on a loopback address only
//
//	[notify]
//	enabled = true                    # say on the desktop when a task has ended that ran at least this long
//	after = "1m"
//
//	[kinds.deploy]
//	description = "Deploy the site"
//	command = ["/srv/deploy.sh", "{target}", "--verbose"]
//	cwd = "/srv"
//	env = { STAGE = "1" }
//	timeout = "2h"
//	concurrency = 1                   # how many tasks of the kind run at once; 0: no limit of its own
//	[kinds.deploy.params.target]      # string, integer, number, boolean, enum or path
//	type = "enum"
//	description = "Where to"
//	enum = ["staging", "live"]
//	default = "staging"
//
// A parameter stands as a whole argument, never inside one, so that no value can become two arguments or a
// part of something else. One that is not required, has no default and was not given takes its argument with it.
//
// [Load] is strict: what is unknown, of a wrong type or without sense is an error that names the file, the line and
// the column, and what was probably meant. It reports all that it finds, one a line.
//
// # Design
//
// go-toml checks the syntax and fills the values in; which keys there are and of which types is held against the
// struct tags by a walk over the document's own tree, because go-toml's errors name Go types, stop at the
// first, and know no near miss. The same walk gives the positions that later checks report, and the order of kinds and
// parameters, which maps lose. Rejected: YAML (values that change their type by themselves), JSON (no comments), a
// library for layered configuration (there is one layer: environment variables move files, they set nothing).
//
// The zero [Config] is that of a user without a file: every value has a default that is safe.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"durable/ipc/task"
)

// Config is the content of one file. The zero value is that of no file.
type Config struct {
	Policy      Policy
	Environment Environment
	Retention   Retention
	HTTP        HTTP
	Notify      Notify
	// Kinds are in the order of the file.
	Kinds []Kind
}

// Rule says what is done with a task that runs a program or overwrites a file.
type Rule string

// The rules.
const (
	// Allow lets it start.
	Allow Rule = "allow"
	// Ask lets it wait for a person's yes, unless the program and the folder are listed.
	Ask Rule = "ask"
	// List refuses it, unless they are listed.
	List Rule = "list"
	// Deny refuses it.
	Deny Rule = "deny"
)

var rules = []string{string(Allow), string(Ask), string(List), string(Deny)}

// Policy is the section [policy].
type Policy struct {
	// Commands is the rule for what comes through MCP, CLI that for everything else; empty is the default.
	Commands Rule
	CLI      Rule
	// Programs and Folders are absolute. Nil Folders: Programs run anywhere.
	Programs []string
	Folders  []string
}

// Rule returns the rule for a door, one of the task.Via words. Whoever comes through none of ours has a
// shell or a program of his own, and is as free as at the command line.
func (p Policy) Rule(via string) Rule {
	switch {
	case via == task.ViaMCP && p.Commands != "":
		return p.Commands
	case via == task.ViaMCP:
		return Ask
	case p.CLI != "":
		return p.CLI
	}
	return Allow
}

// Environment is the section [environment].
type Environment struct {
	// Source is one of the Source words; empty is SourceLoginShell.
	Source string
	// Path are absolute folders that go before PATH, Set are variables with their values, which are secrets.
	Path []string
	Set  map[string]string
}

// Where the environment of a program comes from that brings none.
const (
	SourceLoginShell = "login-shell"
	SourceDaemon     = "daemon"
)

// Retention is the section [retention]. A zero is the default, [Unlimited] no limit.
type Retention struct {
	Days int
	Max  int64
}

// Unlimited in [Retention] means that nothing goes for that reason, in [Notify] that no time is too short.
const Unlimited = -1

// The defaults of [Retention].
const (
	DefaultDays = 30
	DefaultMax  = 10 << 30
)

// Limits returns how long what has ended is kept, and how many bytes it may take; 0 is no limit.
func (r Retention) Limits() (age time.Duration, bytes int64) {
	switch r.Days {
	case Unlimited:
	case 0:
		age = DefaultDays * 24 * time.Hour
	default:
		age = time.Duration(r.Days) * 24 * time.Hour
	}
	switch r.Max {
	case Unlimited:
	case 0:
		bytes = DefaultMax
	default:
		bytes = r.Max
	}
	return age, bytes
}

// HTTP is the section [http]. Without an address nothing is served.
type HTTP struct {
	Address string
	// Auth is a word of the package web; empty is the default.
	Auth string
}

// Notify is the section [notify].
type Notify struct {
	Off bool
	// After is how long a task has to run; 0 is [DefaultNotifyAfter], [Unlimited] every task.
	After time.Duration
}

// DefaultNotifyAfter is the default of [Notify].
const DefaultNotifyAfter = time.Minute

// Rule returns how long a task has to run so that its end is told; ok is false where none is.
func (n Notify) Rule() (after time.Duration, ok bool) {
	switch n.After {
	case Unlimited:
		return 0, !n.Off
	case 0:
		return DefaultNotifyAfter, !n.Off
	}
	return n.After, !n.Off
}

// maxSize bounds the file.
const maxSize = 1 << 20

// Load reads the file at path. Where there is none, it returns the zero Config. The error is a
// [task.InvalidArgument] for what the file says, a [task.FailedPrecondition] where it cannot be read.
func Load(path string) (*Config, error) {
	text, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Config{}, nil
	case err != nil:
		return nil, task.Errorf(task.FailedPrecondition, "configuration: %w", err).
			WithHint("the file must be yours to read; without one the defaults are in force")
	}
	cfg, problems := parse(text)
	if len(problems) > 0 {
		return nil, problems.err(path)
	}
	return cfg, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a file", path)
	case info.Size() > maxSize:
		return nil, fmt.Errorf("%s: %d bytes, the limit is %d", path, info.Size(), maxSize)
	}
	return io.ReadAll(io.LimitReader(f, maxSize))
}
