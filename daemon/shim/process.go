package shim

import (
	"context"
	"errors"
	"sync"
	"time"

	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// slack is what a holder has, beyond the grace, to end a tree before the daemon does it instead.
const slack = 2 * time.Second

// Process is a program under a holder. It holds nothing open but while Wait is called.
type Process struct {
	// OnOrphan, if set, is called by Wait, once, when the holder is found gone while the program is not.
	OnOrphan func()

	dir    string
	boot   func() string
	groups *Groups
	holder *child // the holder while it is our child that nobody has reaped; else nil
	spec   protocol.Started
	exit   protocol.Exit
	done   bool  // exit is known
	result error // what Wait returns for what has no exit

	mu       sync.Mutex
	child    protocol.Process // see program
	orphaned bool
	told     bool      // OnOrphan was called
	killAt   time.Time // when a tree that was told to end is to be killed; zero: it was not
	wake     func()    // makes a Wait that is under way look at killAt
}

// Wait waits until the program has ended and, unless it may keep its children, all that it has started. It returns how
// the program ended, or ErrLost, ErrInterrupted, ErrNotExecuted, or the cause of ctx. It may be called again, but not
// twice at a time.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	if !p.done && p.result == nil {
		if err := p.awaitHolder(ctx); err != nil {
			return Exit{}, err
		}
		if err := p.settle(ctx); err != nil {
			return Exit{}, err
		}
	}
	if p.isOrphaned() {
		if err := p.awaitTree(ctx); err != nil {
			return Exit{}, err
		}
	}
	p.removeGroup()
	if p.done {
		return p.exit, nil
	}
	return Exit{}, p.result
}

// settle finds out what a holder has left behind that is gone.
func (p *Process) settle(ctx context.Context) error {
	if p.holder != nil {
		p.holder.reap()
		p.holder = nil
	}
	exit, err := readFile(p.dir, protocol.FileExit, protocol.ParseExit)
	if err == nil {
		p.exit, p.done = exit, true
		return nil
	}
	if !missing(err) && !errors.Is(err, protocol.ErrCorrupt) {
		return unreadable(p.dir, protocol.FileExit, err)
	}
	found, verdict, err := p.judge(ctx)
	if err != nil {
		return err
	}
	p.exit, p.done, p.result = found.exit, found.done, found.result
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orphaned = verdict == Orphaned
	return nil
}

// judge is Recover, once the lock has gone: the kernel closes a holder's files one after the other.
func (p *Process) judge(ctx context.Context) (*Process, Verdict, error) {
	for deadline := time.Now().Add(between); ; {
		found, verdict, err := (Launcher{Boot: p.boot, Groups: p.groups}).Recover(ctx, p.dir, p.spec.Nonce)
		if verdict == NotStarted { // it was: we have seen its holder. The folder was removed since, or what was in it
			found.result, verdict = ErrLost, Lost
		}
		if verdict != Running || err != nil {
			return found, verdict, err
		}
		if err := pause(ctx, glance); err != nil {
			return nil, "", err
		}
		if time.Now().After(deadline) {
			return nil, "", task.Errorf(task.Unavailable, "%s: its holder is gone, but somebody has its lock", p.dir)
		}
	}
}

func (p *Process) isOrphaned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.orphaned
}

// PID returns the program's process ID for people to see; 0 if it is not known.
func (p *Process) PID() int {
	return p.program().PID
}

// program names the program; zero if the holder did not come to write it down.
func (p *Process) program() protocol.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child.PID == 0 {
		if c, err := readChild(p.dir); err == nil {
			p.child = c.Process
		}
	}
	return p.child
}

// Stop asks all of the program's processes to end (SIGTERM), and has those killed that are left after grace. It does
// not wait, and may be called again: the earlier end counts. What no holder does, Wait does instead: one must be
// under way, or follow.
func (p *Process) Stop(grace time.Duration) error {
	grace = max(grace, 0)
	p.mu.Lock()
	killAt := time.Now().Add(grace)
	if p.killAt.IsZero() || killAt.Before(p.killAt) {
		p.killAt = killAt
	}
	orphaned, wake := p.orphaned, p.wake
	p.mu.Unlock()
	var err error
	if !orphaned {
		_, err = command(p.dir, protocol.Command{Stop: true, Grace: grace})
	}
	if wake != nil {
		wake()
	}
	if err != nil {
		return task.Errorf(task.Unavailable, "stop %s: %w", p.dir, err)
	}
	return nil
}

// stopAt returns when the tree is to be killed; zero: it is not.
func (p *Process) stopAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killAt
}

// setWake sets what Stop calls while a Wait sleeps.
func (p *Process) setWake(wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake = wake
}
