package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/cenkalti/backoff/v5"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// Patience with daemons.
const (
	// answerMost is how long a new daemon may take until it answers: it may have to migrate its store.
	answerMost = 2 * time.Minute
	// leaveMost is how long a daemon may take to leave.
	leaveMost = 45 * time.Second
	look      = 50 * time.Millisecond
	// lookMost is how long a daemon may take to say that it is still there.
	lookMost = 5 * time.Second
)

// connect returns a client that starts nothing and waits for nobody.
func (s *Service) connect() *client.Client {
	return client.New(client.Options{Socket: s.paths.Socket, Via: task.ViaCLI, Name: "durablectl " + task.Version(), DialRetry: client.Never})
}

// running returns what the daemon at the service's socket says of itself, nil if none answers. A socket that systemd holds for a
// daemon that is stopped is not asked: that would start it.
func (s *Service) running(ctx context.Context, st Status) *task.Info {
	if st.Socket && !st.Running {
		return nil
	}
	c := s.connect()
	defer func() { _ = c.Close() }()
	info, err := c.Info(ctx)
	if err != nil {
		return nil
	}
	return &info
}

// hold keeps a daemon that is about to leave from starting more. That it cannot is no reason to stop.
func (s *Service) hold(ctx context.Context, info *task.Info) {
	if info == nil {
		return
	}
	c := s.connect()
	defer func() { _ = c.Close() }()
	if _, err := c.Drain(ctx, task.DrainRequest{}); err != nil {
		s.opts.Say("warning: the queue is not held back: %v", err)
	}
}

// answers waits until a daemon of that version (empty: any) answers at the socket, another one than before (nil: any).
func (s *Service) answers(ctx context.Context, before *task.Info, version string) error {
	c := s.connect()
	defer func() { _ = c.Close() }()
	_, err := backoff.Retry(ctx, func() (task.Info, error) {
		info, err := c.Info(ctx)
		if errors.Is(err, task.PermissionDenied) {
			return info, backoff.Permanent(err)
		}
		if err == nil && before != nil && same(info, *before) {
			err = errThere
		}
		if err == nil && version != "" && info.Version != version {
			err = fmt.Errorf("another one does, of version %s", info.Version)
		}
		return info, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(look)), backoff.WithMaxElapsedTime(answerMost))
	if err != nil {
		return task.Errorf(task.Unavailable, "the service was started, and its daemon does not answer: %w", err).
			WithHint("durablectl service logs%s tells why", s.flag())
	}
	return nil
}

func same(a, b task.Info) bool { return a.PID == b.PID && a.StartedAt.Equal(b.StartedAt) }

// dismiss has a daemon that is not the service's leave, and waits until it is gone. Its programs live on: the service's finds them.
func (s *Service) dismiss(ctx context.Context, info task.Info) error {
	s.opts.Say("the daemon that runs (pid %d) leaves to the service", info.PID)
	return s.leave(ctx, info, task.ShutdownRequest{Restart: true})
}

func (s *Service) leave(ctx context.Context, info task.Info, req task.ShutdownRequest) error {
	c := s.connect()
	defer func() { _ = c.Close() }()
	if err := c.Shutdown(ctx, req); err != nil {
		return err
	}
	_, err := backoff.Retry(ctx, func() (bool, error) {
		now, err := c.Info(ctx)
		if err == nil && same(now, info) {
			return false, errThere
		}
		if err == nil {
			return true, nil
		}
		lock, err := socket.TryExisting(s.paths.Lock)
		if errors.Is(err, socket.ErrLocked) {
			return false, errThere
		}
		if err == nil {
			return true, lock.Unlock()
		}
		return true, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(look)), backoff.WithMaxElapsedTime(leaveMost))
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "durabled (pid %d) does not leave: %w", info.PID, err).WithHint("durablectl status")
	}
	return nil
}

var errThere = errors.New("it is still there")

// Start starts the service, and lifts the mark of a deliberate stop.
func (s *Service) Start(ctx context.Context) error {
	st, err := s.mine(ctx, "start")
	if err != nil {
		return err
	}
	if err := os.Remove(s.paths.Stopped); err != nil && !errors.Is(err, os.ErrNotExist) && !s.opts.System {
		return explain("lift the mark of a deliberate stop", err)
	}
	if info := s.running(ctx, st); info != nil && !st.Running {
		if err := s.dismiss(ctx, *info); err != nil {
			return err
		}
	}
	if err := s.manager.start(ctx); err != nil {
		return err
	}
	return s.answers(ctx, nil, "")
}

// Stop stops the service until somebody starts it, or the machine: clients leave it alone meanwhile. Programs live on and are found
// again, unless all is set: then they end, their tasks are interrupted, and go on with the service.
func (s *Service) Stop(ctx context.Context, all bool) error {
	st, err := s.mine(ctx, "stop")
	if err != nil {
		return err
	}
	return s.halt(ctx, st, all)
}

func (s *Service) halt(ctx context.Context, st Status, all bool) (err error) {
	mark := "durablectl service stop\n"
	if all {
		mark = socket.StoppedAll
	}
	if exists(s.paths.State) {
		if err := writeFile(s.paths.Stopped, []byte(mark)); err != nil {
			return explain("mark the deliberate stop", err)
		}
		defer func() { // a daemon that is still there must not end its programs, or stay away, some other day
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookMost)
			defer cancel()
			if err != nil && s.running(ctx, st) != nil {
				_ = os.Remove(s.paths.Stopped)
			}
		}()
	}
	// The service's daemon reads the mark when it is told to leave. One that is not the service's has to be told; so has one that the
	// service manager would kill.
	if info := s.running(ctx, st); info != nil && all && (!st.Running || runtime.GOOS == "windows") {
		if err := s.leave(ctx, *info, task.ShutdownRequest{EndPrograms: true}); err != nil {
			return err
		}
	}
	return s.manager.stop(ctx)
}

// Restart has the daemon leave and come back.
func (s *Service) Restart(ctx context.Context) error {
	st, err := s.mine(ctx, "restart")
	if err != nil {
		return err
	}
	if !st.Running {
		return s.Start(ctx)
	}
	if err := s.manager.restart(ctx); err != nil {
		return err
	}
	return s.answers(ctx, nil, "")
}

// mine is for what can be done to the service of a package too.
func (s *Service) mine(ctx context.Context, verb string) (Status, error) {
	st, err := s.Status(ctx)
	if err == nil && !st.Installed {
		err = task.Errorf(task.FailedPrecondition, "the service is not installed").WithHint("durablectl service install%s", s.flag())
	}
	if err != nil {
		return st, err
	}
	return st, s.allowed(verb)
}

// Logs returns the command that prints the service's log, or, where there is none, the file that it is in.
func (s *Service) Logs(lines int, follow bool) (command []string, file string) {
	return s.manager.logs(lines, follow), s.paths.Log
}

// Kept is what an uninstall leaves.
type Kept struct {
	State  string `json:"state"`
	Config string `json:"config"`
	// User is the system service's, with its group; empty: they were not made for it.
	User string `json:"user,omitempty"`
	// Purged: State is gone.
	Purged bool `json:"purged"`
}

// Uninstall stops the service, ends its programs and removes it. Its state stays, unless purge is set: what was interrupted goes on when
// a daemon is back.
func (s *Service) Uninstall(ctx context.Context, purge bool) (Kept, error) {
	st, err := s.installed(ctx, "remove")
	if err != nil {
		return Kept{}, err
	}
	if err := s.halt(ctx, st, true); err != nil {
		return Kept{}, err
	}
	if err := s.manager.unregister(ctx); err != nil {
		return Kept{}, err
	}
	if err := os.Remove(s.paths.Stopped); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Kept{}, explain("lift the mark of a deliberate stop", err)
	}
	if err := s.home.remove(); err != nil {
		s.opts.Say("warning: %v", err)
	}
	kept := Kept{State: s.paths.State, Config: s.paths.Config, Purged: purge}
	if s.opts.System {
		kept.User = accountName
	}
	if purge {
		if err := s.purge(); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// purge removes the state folder, which must not be one that somebody still uses.
func (s *Service) purge() error {
	lock, err := socket.TryExisting(s.paths.Lock)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return task.Errorf(task.FailedPrecondition, "a daemon still has %s: it was not removed (%w)", s.paths.State, err)
	}
	if lock != nil {
		defer func() { _ = lock.Unlock() }()
	}
	if err := os.RemoveAll(s.paths.State); err != nil {
		return explain("remove "+s.paths.State, err)
	}
	return nil
}
