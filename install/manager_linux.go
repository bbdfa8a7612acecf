package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	kardianos "github.com/kardianos/service"

	"durable/ipc/task"
)

// systemd is a manager: the machine's, or the user's own.
type systemd struct {
	s    *Service
	user string
	dir  string // of units
}

func newManager(s *Service) (manager, error) {
	m := &systemd{s: s, dir: "/etc/systemd/system"}
	if s.opts.System {
		return m, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "this user has no home folder").WithHint("set HOME")
	}
	m.dir = filepath.Join(home, ".config", "systemd", "user")
	if u, err := user.Current(); err == nil {
		m.user = u.Username
	}
	// A shell of su or of a container lacks it, and systemctl finds the user's manager by nothing else.
	if runtime := fmt.Sprintf("/run/user/%d", os.Getuid()); os.Getenv("XDG_RUNTIME_DIR") == "" && exists(runtime) {
		_ = os.Setenv("XDG_RUNTIME_DIR", runtime)
	}
	return m, nil
}

// booted: what sd_booted(3) looks at.
func (m *systemd) booted() bool { return exists("/run/systemd/system") }

func (m *systemd) name() string {
	if !m.booted() {
		return ""
	}
	return "systemd"
}

func (m *systemd) unit() string { return filepath.Join(m.dir, serviceUnit) }

// packaged returns the unit that a package of the system has brought, "" if there is none.
func (m *systemd) packaged() string {
	kind := "user"
	if m.s.opts.System {
		kind = "system"
	}
	for _, lib := range []string{"/usr/lib/systemd/", "/lib/systemd/"} {
		if path := lib + kind + "/" + Name + ".service"; exists(path) {
			return path
		}
	}
	return ""
}

// ours reports whether the unit in our place is one that we wrote; a missing one is.
func (m *systemd) ours() bool {
	b, err := os.ReadFile(m.unit())
	return errors.Is(err, fs.ErrNotExist) || err == nil && strings.Contains(string(b), mark)
}

func (m *systemd) ctl(ctx context.Context, args ...string) (string, error) {
	if !m.s.opts.System {
		args = append([]string{"--user"}, args...)
	}
	return run(ctx, "systemctl", args...)
}

func (m *systemd) look(ctx context.Context, st *Status) error {
	if !m.booted() {
		return nil
	}
	switch path := m.packaged(); {
	case exists(m.unit()):
		st.Installed, st.Unit = true, m.unit()
	case path != "":
		st.Installed, st.Package, st.Unit = true, true, path
	}
	if !m.s.opts.System {
		st.Linger = exists("/var/lib/systemd/linger/" + m.user)
	}
	has, socket, err := m.show(ctx)
	if err != nil { // no manager of this user runs: then neither does the service
		st.State = "unknown"
		return nil
	}
	st.State = has["ActiveState"]
	if sub := has["SubState"]; sub != "" && st.State != "inactive" {
		st.State += " (" + sub + ")"
	}
	st.PID, _ = strconv.Atoi(has["MainPID"])
	st.Running = has["ActiveState"] == "active" && st.PID > 0
	st.Enabled = has["UnitFileState"] == "enabled"
	st.ownSocket = exists(m.socket())
	st.Socket = st.ownSocket || socket["ActiveState"] == "active"
	return nil
}

func (m *systemd) check(ctx context.Context) error {
	switch {
	case !m.booted():
		return task.Errorf(task.FailedPrecondition, "this machine is not run by systemd, the only service manager that durable knows on Linux").
			WithHint("have yours run: durabled run")
	case m.packaged() != "" && !exists(m.unit()):
		return task.Errorf(task.FailedPrecondition, "a package has brought the service already: %s", m.packaged()).
			WithHint("enable it: systemctl enable --now %s; upgrades come with the package", Name)
	case !m.ours():
		return task.Errorf(task.FailedPrecondition, "%s is there and was not written by durable", m.unit()).
			WithHint("move it away, or let it be")
	}
	if _, _, err := m.texts(); err != nil {
		return err
	}
	if m.s.opts.System {
		return nil
	}
	if m.user == "" {
		return task.Errorf(task.FailedPrecondition, "the name of user %d is unknown", os.Getuid())
	}
	if !exists(fmt.Sprintf("/run/user/%d", os.Getuid())) { // nobody is logged in, and nothing lingers
		_, _ = run(ctx, "loginctl", "enable-linger", m.user)
		_ = os.Setenv("XDG_RUNTIME_DIR", fmt.Sprintf("/run/user/%d", os.Getuid()))
	}
	if _, err := m.ctl(ctx, "show-environment"); err != nil {
		return task.Errorf(task.FailedPrecondition, "the systemd of user %s does not answer: %w", m.user, err).
			WithHint("sudo loginctl enable-linger %s starts it; then again", m.user)
	}
	return nil
}

func (m *systemd) texts() (unit, sock string, err error) {
	unit, err = Unit(m.s.home.program("durabled"), m.s.opts.System, m.s.opts.Socket)
	if err == nil && m.s.opts.Socket {
		sock, err = SocketUnit(m.s.paths, m.s.opts.System)
	}
	return unit, sock, err
}

// service is the library's view of the unit, whose text is text.
func (m *systemd) service(text string) (kardianos.Service, error) {
	return kardianos.New(nothing{}, &kardianos.Config{
		Name: Name, Executable: m.s.home.program("durabled"),
		Option: kardianos.KeyValue{"UserService": !m.s.opts.System, "SystemdScript": text},
	})
}

func (m *systemd) register(ctx context.Context) (undo func(), err error) {
	unit, sock, err := m.texts()
	if err != nil {
		return nil, err
	}
	var undos undoing
	defer func() {
		if err != nil {
			undos.run()
		}
	}()
	undos.add(func() { _, _ = m.ctl(context.WithoutCancel(ctx), "daemon-reload") })
	if exists(m.unit()) {
		back, err := writeOver(m.unit(), unit)
		if err != nil {
			return nil, err
		}
		undos.add(back)
		if _, err := m.ctl(ctx, "daemon-reload"); err != nil {
			return nil, explain("load the unit", err)
		}
		if _, err := m.ctl(ctx, "enable", serviceUnit); err != nil {
			return nil, explain("enable the unit", err)
		}
	} else {
		undos.add(func() {
			_, _ = m.ctl(context.WithoutCancel(ctx), "disable", serviceUnit)
			_ = os.Remove(m.unit())
		})
		svc, err := m.service(unit)
		if err == nil {
			err = svc.Install() // writes, enables, reloads
		}
		if err != nil {
			return nil, explain("install the unit", err)
		}
	}
	if err := m.registerSocket(ctx, sock, &undos); err != nil {
		return nil, err
	}
	if !m.s.opts.System && !exists("/var/lib/systemd/linger/"+m.user) {
		if _, err := run(ctx, "loginctl", "enable-linger", m.user); err != nil {
			m.s.opts.Say("warning: the service starts when you log in, and ends when you log out; to have it start at boot: sudo loginctl enable-linger %s", m.user)
		}
	}
	return undos.run, nil
}

func (m *systemd) unregister(ctx context.Context) error {
	_ = os.Remove(m.note())
	if exists(m.socket()) {
		_, _ = m.ctl(ctx, "disable", "--now", socketUnit)
		if err := os.Remove(m.socket()); err != nil {
			return explain("remove the socket's unit", err)
		}
	}
	if !exists(m.unit()) {
		return nil
	}
	svc, err := m.service("")
	if err == nil {
		err = svc.Uninstall()
	}
	if err != nil && !exists(m.unit()) {
		err = nil
	}
	if err != nil {
		return explain("remove the unit", err)
	}
	return nil
}

func (m *systemd) start(ctx context.Context) error {
	_, _ = m.ctl(ctx, "reset-failed", serviceUnit) // what failed before must not count
	comes, err := m.socketComes(ctx)
	if comes {
		_, err = m.ctl(ctx, "start", socketUnit)
	}
	if err != nil {
		return m.failed("start the socket", err)
	}
	_ = os.Remove(m.note())
	if _, err := m.ctl(ctx, "start", serviceUnit); err != nil {
		return m.failed("start the service", err)
	}
	return nil
}

func (m *systemd) stop(ctx context.Context) error {
	units := []string{"stop", serviceUnit}
	goes, err := m.socketGoes(ctx)
	if goes {
		units = []string{"stop", socketUnit, serviceUnit}
	}
	if err == nil {
		_, err = m.ctl(ctx, units...)
	}
	if err != nil {
		return m.failed("stop the service", err)
	}
	return nil
}

func (m *systemd) restart(ctx context.Context) error {
	_, _ = m.ctl(ctx, "reset-failed", serviceUnit)
	if _, err := m.ctl(ctx, "restart", serviceUnit); err != nil {
		return m.failed("restart the service", err)
	}
	return nil
}

func (m *systemd) failed(what string, err error) error {
	scope := ""
	if m.s.opts.System {
		scope = " --system"
	}
	return explain(what, err).WithHint("durablectl service logs%s tells why", scope)
}

func (m *systemd) logs(lines int, follow bool) []string {
	args := []string{"journalctl", "--no-pager", "--output=cat", "--lines=" + strconv.Itoa(lines)}
	if m.s.opts.System {
		args = append(args, "--unit="+serviceUnit)
	} else {
		args = append(args, "--user-unit="+serviceUnit)
	}
	if follow {
		args = append(args, "--follow")
	}
	return args
}
