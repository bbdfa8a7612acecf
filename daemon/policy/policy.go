// Package policy decides whether a task may run its programs and overwrite its files: at once, after a person's
// yes, or not at all. The rules are those of config.toml; what a person has allowed for good ("always this program
// in this folder") is kept in a file beside the store.
//
// # What is compared
//
// A program is listed or approved under the name that it is started by, after the symbolic links in its folder were
// followed, but not a link that is its own last name: many programs are one file that acts by its name (busybox,
// coreutils, rustup), and a yes to one of them is none to all. A folder, and a file that is overwritten, is
// where all links lead. A listed folder covers everything below it; an approved one covers itself alone.
//
// Under ask, what config.toml lists is not asked about; under list, it is all there is, and what was approved before
// does not count.
//
// # Design
//
// The file of approvals is small and hardly ever written, so it is one JSON document, replaced by a rename after an
// fsync. One that cannot be read is left as it is, approves nothing and is told of in status: better asked twice
// than a list that grew over months gone. Rejected: approvals in the store (a backup that is restored on another
// machine must not bring its yes along), approvals in config.toml (which people write, and a program must not), patterns
// for arguments (a list of allowed arguments looks like a fence and is none).
//
// For a model that has a shell of its own all of this is a reminder, no fence.
package policy

import (
	"fmt"
	"slices"
	"sync"

	"durable/daemon/config"
	"durable/ipc/task"
)

// Policy judges. It may be used from any goroutine.
type Policy struct {
	path string

	mu       sync.Mutex
	rules    config.Policy
	distrust string // why the configuration cannot be trusted; empty: it can
	approved map[task.Effect]bool
	damage   error // the file of approvals cannot be read
}

// New returns the policy of a user without a configuration, with what the file at path says was approved. Nothing
// is written until somebody approves.
func New(path string) *Policy {
	p := &Policy{path: path}
	p.Load(config.Policy{})
	return p
}

// Load puts rules in force, and reads anew what was approved.
func (p *Policy) Load(rules config.Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.distrust = rules, ""
	p.approved, p.damage = readApproved(p.path)
}

// Distrust refuses what comes through MCP, until the next Load: the configuration cannot be read, and nobody
// knows how strict it is.
func (p *Policy) Distrust(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.distrust = config.Policy{Commands: config.Deny}, why
}

// Judge says whether a person has to be asked before a task with these effects may start. An error, a
// [task.PermissionDenied], means that it must not be.
func (p *Policy) Judge(caller task.Caller, effects []task.Effect) (ask bool, err error) {
	if len(effects) == 0 {
		return false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rule := p.rules.Rule(caller.Via)
	switch {
	case rule == config.Allow:
		return false, nil
	case rule == config.Deny:
		return false, p.refusal(caller, effects[0])
	}
	for _, e := range effects {
		switch e := resolved(e); {
		case p.listed(e):
		case rule == config.List:
			return false, p.refusal(caller, e)
		case !p.approved[e]:
			return true, nil
		}
	}
	return false, nil
}

func (p *Policy) refusal(caller task.Caller, e task.Effect) error {
	if p.distrust != "" {
		return task.Errorf(task.PermissionDenied, "the policy is not known: %s", p.distrust).
			WithHint("correct config.toml, then: durablectl reload; until then nothing is run for a program that speaks MCP")
	}
	key := "cli"
	if caller.Via == task.ViaMCP {
		key = "commands"
	}
	refused := task.Errorf(task.PermissionDenied, "the policy does not allow it to %s", Describe(e))
	if p.rules.Rule(caller.Via) == config.Deny {
		return refused.WithHint("config.toml says [policy] %s = %q; a person can change that, then: durablectl reload", key, config.Deny)
	}
	return refused.WithHint("config.toml says [policy] %s = %q: only what is under programs and folders there; a person can add to it, then: durablectl reload",
		key, config.List)
}

// Describe says what an effect does, to be read after "to".
func Describe(e task.Effect) string {
	switch e.Act {
	case task.ActRun:
		return fmt.Sprintf("run %s in %s", e.Program, e.Folder)
	case task.ActOverwrite:
		return "overwrite " + e.Path
	}
	return e.Act
}

// listed reports whether the configuration names what e does. p.mu is held.
func (p *Policy) listed(e task.Effect) bool {
	switch e.Act {
	case task.ActRun:
		return slices.ContainsFunc(p.rules.Programs, func(program string) bool { return nameOf(program) == e.Program }) &&
			(p.rules.Folders == nil || p.covered(e.Folder))
	case task.ActOverwrite:
		return p.covered(e.Path)
	}
	return false
}

// covered reports whether path is a listed folder or below one. p.mu is held.
func (p *Policy) covered(path string) bool {
	return slices.ContainsFunc(p.rules.Folders, func(folder string) bool { return within(path, follow(folder)) })
}

// Remember allows effects from now on, wherever the rule is to ask.
func (p *Policy) Remember(effects []task.Effect) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage != nil {
		return task.Errorf(task.FailedPrecondition, "remember the approval: %w", p.damage).
			WithHint("move %s away: what was approved for good is asked for again then; or approve without --always", p.path)
	}
	next := make(map[task.Effect]bool, len(p.approved)+len(effects))
	for e := range p.approved {
		next[e] = true
	}
	for _, e := range effects {
		next[resolved(e)] = true
	}
	switch {
	case len(next) == len(p.approved):
		return nil
	case len(next) > maxApproved:
		return task.Errorf(task.ResourceExhausted, "remember the approval: %d are remembered already", len(p.approved)).
			WithHint("list programs and folders in config.toml instead, or move %s away", p.path)
	}
	if err := writeApproved(p.path, next); err != nil {
		return task.Errorf(task.Unavailable, "remember the approval: %w", err).WithHint("approve without --always, or see what is wrong with that file")
	}
	p.approved = next
	return nil
}

// Approved returns what is allowed for good, sorted.
func (p *Policy) Approved() []task.Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sorted(p.approved)
}

// Warnings says what a person should know.
func (p *Policy) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage == nil {
		return nil
	}
	return []string{fmt.Sprintf("what was approved for good is not known, and is asked for again: %v; move the file away to begin anew", p.damage)}
}
