//go:build unix

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cenkalti/backoff/v5"
	kardianos "github.com/kardianos/service"

	"durable/ipc/task"
)

// launchd is a manager: an agent of the user's, or a daemon of the machine's.
type launchd struct {
	s    *Service
	path string // of the property list
}

func (m *launchd) name() string { return "launchd" }

// domain is where launchd has the service.
func (m *launchd) domain() string {
	if m.s.opts.System {
		return "system"
	}
	return fmt.Sprintf("gui/%d", os.Getuid())
}

func (m *launchd) target() string { return m.domain() + "/" + Name }

func (m *launchd) service(text string) (kardianos.Service, error) {
	return kardianos.New(nothing{}, &kardianos.Config{
		Name: Name, Executable: m.s.home.program("durabled"),
		Option: kardianos.KeyValue{"UserService": !m.s.opts.System, "LaunchdConfig": text},
	})
}

var (
	launchdPID   = regexp.MustCompile(`(?m)^\s*pid = (\d+)`)
	launchdState = regexp.MustCompile(`(?m)^\s*state = (.+)$`)
)

func (m *launchd) look(ctx context.Context, st *Status) error {
	st.Installed = exists(m.path)
	if !st.Installed {
		return nil
	}
	st.Unit, st.Enabled = m.path, true
	out, err := run(ctx, "launchctl", "print", m.target())
	if err != nil {
		st.State = "not loaded"
		return nil
	}
	if found := launchdState.FindStringSubmatch(out); found != nil {
		st.State = strings.TrimSpace(found[1])
	}
	if found := launchdPID.FindStringSubmatch(out); found != nil {
		st.PID, _ = strconv.Atoi(found[1])
	}
	st.Running = st.PID > 0
	return nil
}

func (m *launchd) check(context.Context) error {
	if b, err := os.ReadFile(m.path); err == nil && !strings.Contains(string(b), mark) {
		return task.Errorf(task.FailedPrecondition, "%s is there and was not written by durable", m.path).
			WithHint("move it away, or let it be")
	}
	if m.s.opts.Socket {
		return task.Errorf(task.Unimplemented, "--socket: launchd gives its sockets to programs that are linked with its own library only").
			WithHint("leave it out: clients wait for a daemon that restarts")
	}
	_, err := Plist(m.s.home.program("durabled"), m.s.paths, m.s.opts.System)
	return err
}

func (m *launchd) register(context.Context) (undo func(), err error) {
	text, err := Plist(m.s.home.program("durabled"), m.s.paths, m.s.opts.System)
	if err != nil {
		return nil, err
	}
	if exists(m.path) {
		return writeOver(m.path, text)
	}
	svc, err := m.service(text)
	if err == nil {
		err = svc.Install()
	}
	if err != nil {
		_ = os.Remove(m.path)
		return nil, explain("install the agent", err)
	}
	return func() { _ = os.Remove(m.path) }, nil
}

func (m *launchd) unregister(ctx context.Context) error {
	if !exists(m.path) {
		return nil
	}
	if err := m.stop(ctx); err != nil {
		return err
	}
	if err := os.Remove(m.path); err != nil {
		return explain("remove the agent", err)
	}
	if !m.s.opts.System {
		return nil
	}
	if err := os.RemoveAll(filepath.Dir(m.s.paths.Socket)); err != nil { // which makeAccount has made
		return explain("remove the socket's folder", err)
	}
	return nil
}

// loaded reports whether launchd knows the service; where that cannot be told, it may.
func (m *launchd) loaded(ctx context.Context) bool {
	return exec.CommandContext(ctx, "launchctl", "print", m.target()).Run() == nil || ctx.Err() != nil
}

// start uses bootstrap: the library's load tells no error, and is not to be used any more.
func (m *launchd) start(ctx context.Context) error {
	args := []string{"kickstart", m.target()}
	if !m.loaded(ctx) {
		args = []string{"bootstrap", m.domain(), m.path}
	}
	if _, err := run(ctx, "launchctl", args...); err != nil {
		return explain("start the agent", err)
	}
	return nil
}

func (m *launchd) stop(ctx context.Context) error {
	if !m.loaded(ctx) {
		return nil
	}
	if err := m.unload(ctx); err != nil {
		return explain("stop the agent", err)
	}
	return nil
}

// unloading is the status with which bootout leaves a daemon that takes its time: its EINPROGRESS.
const unloading = 36

// unload waits until launchd has forgotten the service. bootout may return while the daemon is still leaving; until that is gone
// launchd refuses to load it anew, and its files are in use.
func (m *launchd) unload(ctx context.Context) error {
	_, err := run(ctx, "launchctl", "bootout", m.target())
	var left *exec.ExitError
	if err != nil && m.loaded(ctx) && !(errors.As(err, &left) && left.ExitCode() == unloading) {
		return err
	}
	_, err = backoff.Retry(ctx, func() (bool, error) {
		if m.loaded(ctx) {
			return false, errThere
		}
		return true, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(look)), backoff.WithMaxElapsedTime(leaveMost))
	return err
}

// restart unloads and loads: launchd reads the property list at no other time.
func (m *launchd) restart(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	return m.start(ctx)
}

func (m *launchd) logs(int, bool) []string { return nil }
