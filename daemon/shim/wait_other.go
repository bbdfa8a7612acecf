//go:build !linux

package shim

import (
	"context"
	"errors"
	"time"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
)

// recheck is the pause between two looks. The poller does not tell of the last writer of a FIFO here.
const recheck = 50 * time.Millisecond

// awaitHolder waits until the holder is gone: until it has not the lock any more.
func (p *Process) awaitHolder(ctx context.Context) error {
	next := time.Time{}
	for {
		lock, err := protocol.TryLock(p.dir)
		if err == nil {
			return lock.Close()
		}
		if !errors.Is(err, protocol.ErrLocked) {
			return task.Errorf(task.Unavailable, "lock %s: %w", p.dir, err)
		}
		if killAt, now := p.stopAt(), time.Now(); !killAt.IsZero() && !now.Before(next) {
			next = p.overrule(now, killAt)
		}
		if err := pause(ctx, recheck); err != nil {
			return err
		}
	}
}

// awaitEnd waits until that process has ended, until a time (zero: none), or until a Stop changes killAt.
func (p *Process) awaitEnd(ctx context.Context, m proc.Process, killAt, until time.Time) error {
	for proc.Start(m.PID) == m.Start && (until.IsZero() || time.Now().Before(until)) && p.stopAt().Equal(killAt) {
		if err := pause(ctx, recheck); err != nil {
			return err
		}
	}
	return nil
}
