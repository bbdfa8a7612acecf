package shim

import (
	"context"
	"slices"
	"time"

	"durable/daemon/shim/proc"
	"durable/ipc/task"
)

// killPause is how long a tree has to vanish after a SIGKILL, before it is looked through again.
const killPause = 10 * time.Millisecond

// awaitTree watches a program without a holder until nothing is left of it, and does for it what its holder would have done:
// ends it when told to, and ends what it leaves behind.
func (p *Process) awaitTree(ctx context.Context) error {
	tree, termed := p.tree(), false
	for {
		members, err := p.members()
		if err != nil {
			return task.Errorf(task.Unavailable, "look for the processes of %s: %w", p.dir, err)
		}
		child := p.program()
		main := slices.Index(members, child) // -1: has ended, or is not known
		killAt := p.stopAt()
		switch {
		case len(members) == 0 || child.PID != 0 && main < 0 && p.spec.KeepChildren && killAt.IsZero():
			p.mu.Lock()
			p.orphaned = false
			p.mu.Unlock()
			return nil
		case child.PID != 0 && main < 0 && killAt.IsZero():
			killAt = p.leaveBehind()
		}
		if !p.told {
			if p.told = true; p.OnOrphan != nil {
				p.OnOrphan()
			}
		}
		if !killAt.IsZero() && !termed {
			if termed = true; time.Now().Before(killAt) {
				terminate(tree)
			}
		}
		until := killAt
		if !killAt.IsZero() && !time.Now().Before(killAt) {
			kill(tree)
			until = time.Now().Add(killPause)
		}
		if err := p.awaitEnd(ctx, members[max(main, 0)], killAt, until); err != nil {
			return err
		}
	}
}

// leaveBehind gives what the program has left behind its grace.
func (p *Process) leaveBehind() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killAt.IsZero() {
		p.killAt = time.Now().Add(p.spec.Grace)
	}
	return p.killAt
}

// overrule ends a tree whose holder does not, and then the holder. It returns when to come again.
func (p *Process) overrule(now, killAt time.Time) time.Time {
	switch {
	case now.Before(killAt.Add(slack)):
		return killAt.Add(slack)
	case now.Before(killAt.Add(2 * slack)):
		kill(p.tree()) // a holder that hears of it writes down how the program ended
	default:
		kill(proc.Tree{Child: p.spec.Holder})
	}
	return now.Add(slack)
}
