package shim

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// awaitHolder waits until the holder is gone: until nobody has the FIFO "alive" open for writing any more. It sleeps in the
// poller, without a thread.
func (p *Process) awaitHolder(ctx context.Context) error {
	f, err := os.OpenFile(filepath.Join(p.dir, protocol.FileAlive), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if missing(err) {
		return nil
	}
	if err != nil {
		return unreadable(p.dir, protocol.FileAlive, err)
	}
	defer func() { _ = f.Close() }()
	overrule := func(now, killAt time.Time) time.Time {
		if killAt.IsZero() {
			return time.Time{}
		}
		return p.overrule(now, killAt)
	}
	var one [1]byte
	return p.sleep(ctx, f, overrule, func() error {
		for {
			if _, err := f.Read(one[:]); err != nil {
				return err
			}
		}
	})
}

// sleep calls wait, which reads from f, until that ends otherwise than by a deadline of f. due says by when it is to be asked again,
// knowing when the tree is to be killed; it is asked after each Stop, too.
func (p *Process) sleep(ctx context.Context, f *os.File, due func(now, killAt time.Time) time.Time, wait func() error) error {
	wake := func() { _ = f.SetReadDeadline(time.Unix(1, 0)) }
	p.setWake(wake)
	defer p.setWake(nil)
	defer context.AfterFunc(ctx, wake)()
	for {
		killAt := p.stopAt()
		if err := f.SetReadDeadline(due(time.Now(), killAt)); err != nil {
			return err
		}
		if ctx.Err() != nil { // looked at after the deadline was set: a wake that came before is not lost
			return context.Cause(ctx)
		}
		if !p.stopAt().Equal(killAt) {
			continue
		}
		switch err := wait(); {
		case err == nil || errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}

// errAgain ends a sleep whose time has come.
var errAgain = errors.New("again")

// awaitEnd waits until that process has ended, until a time (zero: none), or until a Stop changes killAt.
func (p *Process) awaitEnd(ctx context.Context, m proc.Process, killAt, until time.Time) error {
	fd, err := unix.PidfdOpen(m.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil { // before Linux 5.3
		return pause(ctx, 10*killPause)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = f.Close() }()
	if proc.Start(m.PID) != m.Start {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	due := func(time.Time, time.Time) time.Time { return until }
	err = p.sleep(ctx, f, due, func() error {
		if !p.stopAt().Equal(killAt) {
			return errAgain
		}
		err := conn.Read(func(fd uintptr) bool { return ended(int(fd)) })
		if errors.Is(err, os.ErrDeadlineExceeded) && (!until.IsZero() && !time.Now().Before(until) || !p.stopAt().Equal(killAt)) {
			return errAgain
		}
		return err
	})
	if errors.Is(err, errAgain) {
		return nil
	}
	return err
}

// ended reports whether the process behind a pidfd has ended.
func ended(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 && err == nil
}
