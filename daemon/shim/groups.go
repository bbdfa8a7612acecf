package shim

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"durable/daemon/shim/cgroup"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// groupPrefix begins the name of each control group that we make.
const groupPrefix = "durable-"

// Groups makes a control group for each program. nil makes none.
type Groups struct {
	base string

	mu   sync.Mutex
	kept []protocol.Group // they had processes when they were to be removed
}

// DelegatedGroups returns those of this process, where its own control group was handed over to it; else nil. What earlier daemons
// have left there without a process is removed.
func DelegatedGroups() *Groups {
	base := cgroup.Delegated()
	if base == "" {
		return nil
	}
	cgroup.Sweep(base, groupPrefix)
	return &Groups{base: base}
}

// groupName is that of the attempt in dir, TASK/ATTEMPT; empty if the names are not ours.
func groupName(dir string) string {
	id, attempt := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
	if !plain(id) || !plain(attempt) {
		return ""
	}
	return groupPrefix + id + "." + attempt
}

// plain reports whether s can be part of a group's name.
func plain(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 100 && strings.Trim(s, letters) == ""
}

// make makes the group of the attempt in dir; zero: it has none.
func (g *Groups) make(dir string) protocol.Group {
	name := groupName(dir)
	if g == nil || name == "" {
		return protocol.Group{}
	}
	made, _ := cgroup.Make(g.base, name) // without one the program runs as where there are none
	return made
}

// find returns the group of the attempt in dir, if there is one.
func (g *Groups) find(dir string) protocol.Group {
	name := groupName(dir)
	if g == nil || name == "" {
		return protocol.Group{}
	}
	found, _ := cgroup.Find(g.base, name)
	return found
}

// leavePatience is how long a group may still count processes that have ended.
const leavePatience = 20 * time.Millisecond

// remove removes a group. One that has processes (a program may leave some behind) is tried again when the next is removed, and by the next daemon.
func (g *Groups) remove(group protocol.Group, patience time.Duration) {
	if g == nil {
		_ = cgroup.Remove(group, patience)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = slices.DeleteFunc(g.kept, func(k protocol.Group) bool { return cgroup.Remove(k, 0) == nil })
	if group.Path != "" && cgroup.Remove(group, patience) != nil && !slices.Contains(g.kept, group) {
		g.kept = append(g.kept, group)
	}
}

// group is the control group that was made for the program. "started" says which, unless it cannot be read or is of an older holder; it is
// believed if the name is that of this attempt.
func (p *Process) group() protocol.Group {
	switch said := p.spec.Group; {
	case said.Path == "":
		return p.groups.find(p.dir)
	case filepath.Base(said.Path) == groupName(p.dir):
		return said
	}
	return protocol.Group{}
}

// grouped returns what lives in the control group, and the program if that does.
func (p *Process) grouped() (members []proc.Process) {
	pids := cgroup.PIDs(p.group())
	if len(pids) == 0 {
		return nil
	}
	if child := p.program(); child.Start != "" && !slices.Contains(pids, child.PID) && proc.Start(child.PID) == child.Start {
		members = append(members, child) // it has left
	}
	for _, pid := range pids {
		if start := proc.Start(pid); start != "" {
			members = append(members, proc.Process{PID: pid, Start: start})
		}
	}
	return members
}

// removeGroup comes when the program has ended: its holder has done it, if there was one to the end.
func (p *Process) removeGroup() {
	if group := p.group(); group.Path != "" {
		patience := leavePatience
		if p.spec.KeepChildren {
			patience = 0
		}
		p.groups.remove(group, patience)
	}
}
