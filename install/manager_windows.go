package install

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/user"
	"strings"
	"unicode/utf16"

	kardianos "github.com/kardianos/service"

	"durable/ipc/task"
)

func newManager(s *Service) (manager, error) {
	if s.opts.System {
		return &scm{s}, nil
	}
	u, err := user.Current()
	if err != nil {
		return nil, task.Errorf(task.Internal, "this process's user: %w", err)
	}
	return &scheduler{s, u.Username}, nil
}

// scm is the service manager, which has services of the machine only.
type scm struct{ s *Service }

func (m *scm) name() string { return "windows services" }

func (m *scm) service() (kardianos.Service, error) {
	return kardianos.New(nothing{}, windowsConfig(m.s.home.program("durabled"), m.s.paths))
}

func (m *scm) look(_ context.Context, st *Status) error {
	svc, err := m.service()
	if err != nil {
		return explain("look at the service", err)
	}
	state, err := svc.Status()
	if errors.Is(err, kardianos.ErrNotInstalled) {
		return nil
	}
	if err != nil {
		return explain("look at the service", err)
	}
	st.Installed, st.Enabled, st.Unit = true, true, Name
	st.Running = state == kardianos.StatusRunning
	st.State = map[kardianos.Status]string{kardianos.StatusRunning: "running", kardianos.StatusStopped: "stopped"}[state]
	return nil
}

func (m *scm) check(context.Context) error { return noSocket(m.s) }

func noSocket(s *Service) error {
	if !s.opts.Socket {
		return nil
	}
	return task.Errorf(task.Unimplemented, "--socket: Windows holds no pipes for services").
		WithHint("leave it out: clients wait for a daemon that restarts")
}

func (m *scm) register(ctx context.Context) (undo func(), err error) {
	var st Status
	if err := m.look(ctx, &st); err != nil {
		return nil, err
	}
	if st.Installed { // what is registered does not depend on the version
		return func() {}, nil
	}
	svc, err := m.service()
	if err == nil {
		err = svc.Install()
	}
	if err != nil {
		return nil, explain("install the service", err)
	}
	return func() { _ = svc.Uninstall() }, nil
}

// act does something to the service by the library.
func (m *scm) act(what string, do func(kardianos.Service) error) error {
	svc, err := m.service()
	if err == nil {
		err = do(svc)
	}
	if err != nil {
		return explain(what, err)
	}
	return nil
}

func (m *scm) unregister(context.Context) error {
	return m.act("remove the service", kardianos.Service.Uninstall)
}

func (m *scm) start(context.Context) error {
	return m.act("start the service", kardianos.Service.Start)
}

func (m *scm) stop(ctx context.Context) error {
	var st Status
	if err := m.look(ctx, &st); err != nil || !st.Running {
		return err
	}
	return m.act("stop the service", kardianos.Service.Stop)
}

// restart: the library's own fails where the service does not run.
func (m *scm) restart(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	return m.start(ctx)
}

func (m *scm) logs(int, bool) []string { return nil }

// scheduler is the task scheduler, with a task of the user's own.
type scheduler struct {
	s    *Service
	user string
}

func (m *scheduler) name() string { return "task scheduler" }

func (m *scheduler) look(ctx context.Context, st *Status) error {
	out, err := run(ctx, "schtasks", "/Query", "/TN", Name, "/FO", "CSV", "/NH")
	if err != nil {
		return nil // its words for "there is none" are in the user's language
	}
	fields := strings.Split(strings.TrimSpace(out), ",")
	st.Installed, st.Enabled, st.Unit = true, true, Name
	st.State = strings.Trim(fields[len(fields)-1], `"`)
	st.Running = st.State == "Running"
	return nil
}

func (m *scheduler) check(context.Context) error { return noSocket(m.s) }

func (m *scheduler) register(ctx context.Context) (undo func(), err error) {
	text, err := LogonTask(m.s.home.program("durabled"), m.user, m.s.paths)
	if err != nil {
		return nil, err
	}
	var before Status
	_ = m.look(ctx, &before)
	f, err := os.CreateTemp("", "durable-*.xml")
	if err != nil {
		return nil, explain("write the task", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(utf16File(text))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, explain("write the task", err)
	}
	if _, err := run(ctx, "schtasks", "/Create", "/TN", Name, "/XML", f.Name(), "/F"); err != nil {
		return nil, explain("create the task", err)
	}
	if before.Installed {
		return func() {}, nil
	}
	return func() { _ = m.unregister(context.WithoutCancel(ctx)) }, nil
}

// utf16File: schtasks reads nothing else.
func utf16File(text string) []byte {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

func (m *scheduler) act(ctx context.Context, what string, args ...string) error {
	if _, err := run(ctx, "schtasks", args...); err != nil {
		return explain(what, err)
	}
	return nil
}

func (m *scheduler) unregister(ctx context.Context) error {
	return m.act(ctx, "delete the task", "/Delete", "/TN", Name, "/F")
}

func (m *scheduler) start(ctx context.Context) error {
	return m.act(ctx, "run the task", "/Run", "/TN", Name)
}

func (m *scheduler) stop(ctx context.Context) error {
	var st Status
	if err := m.look(ctx, &st); err != nil || !st.Running {
		return err
	}
	return m.act(ctx, "end the task", "/End", "/TN", Name)
}

func (m *scheduler) restart(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	return m.start(ctx)
}

func (m *scheduler) logs(int, bool) []string { return nil }
