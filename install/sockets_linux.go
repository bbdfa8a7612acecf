package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The unit with which systemd holds the socket is one of ours, or one that a package or a person has brought. As long as it is there, the
// next client starts the service, whoever has stopped that.

const (
	serviceUnit = Name + ".service"
	socketUnit  = Name + ".socket"
)

func (m *systemd) socket() string { return filepath.Join(m.dir, socketUnit) }

// show returns what systemd says of the service and of the socket, which need not be there.
func (m *systemd) show(ctx context.Context) (service, socket map[string]string, err error) {
	out, err := m.ctl(ctx, "show", serviceUnit, socketUnit, "--property=LoadState,ActiveState,SubState,MainPID,UnitFileState")
	if err != nil {
		return nil, nil, err
	}
	first, second, _ := strings.Cut(strings.TrimSpace(out), "\n\n")
	return properties(first), properties(second), nil
}

func properties(text string) map[string]string {
	has := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		has[name] = value
	}
	return has
}

// note is the file that says that a stop of ours has stopped a socket that is not ours. It lasts as long as what it tells of: until the boot.
func (m *systemd) note() string {
	dir := "/run"
	if !m.s.opts.System {
		dir = fmt.Sprintf("/run/user/%d", os.Getuid())
	}
	return filepath.Join(dir, Name+"-socket.stopped")
}

// socketGoes reports whether a stop has to stop the socket too, and notes that the next start has to bring it back.
func (m *systemd) socketGoes(ctx context.Context) (bool, error) {
	if exists(m.socket()) {
		return true, nil
	}
	service, socket, err := m.show(ctx)
	switch {
	case err != nil:
		return false, err
	case socket["ActiveState"] == "active":
		return true, writeFile(m.note(), nil)
	case service["ActiveState"] == "active": // it runs without
		_ = os.Remove(m.note())
	}
	return false, nil
}

// socketComes reports whether a start has to start the socket: before the service, since a daemon that has bound its own leaves none for
// systemd.
func (m *systemd) socketComes(ctx context.Context) (bool, error) {
	service, socket, err := m.show(ctx)
	if err != nil || service["ActiveState"] == "active" {
		return false, err
	}
	noted := exists(m.note()) || socket["UnitFileState"] == "enabled"
	return exists(m.socket()) || noted && socket["LoadState"] == "loaded", nil
}

// registerSocket has systemd hold the socket, or lets it go where that is no longer wanted.
func (m *systemd) registerSocket(ctx context.Context, text string, undos *undoing) error {
	_, socket, err := m.show(ctx)
	if err != nil {
		return explain("look at the socket", err)
	}
	if socket["ActiveState"] == "active" { // first of all, so that it is undone last: whatever has stopped it
		// A daemon that has its own meanwhile keeps it from starting: the daemon's start brings it, then.
		undos.add(func() { _, _ = m.ctl(context.WithoutCancel(ctx), "start", socketUnit) })
	}
	if text == "" {
		return m.dropSocket(ctx, socket["UnitFileState"] == "enabled", undos)
	}
	there := exists(m.socket())
	back, err := writeOver(m.socket(), text)
	if err != nil {
		return err
	}
	undos.add(back)
	if !there {
		undos.add(func() { _, _ = m.ctl(context.WithoutCancel(ctx), "disable", "--now", socketUnit) })
	}
	if _, err = m.ctl(ctx, "daemon-reload"); err == nil {
		_, err = m.ctl(ctx, "enable", socketUnit)
	}
	if err != nil {
		return explain("enable the socket", err)
	}
	return nil
}

// dropSocket lets a socket of ours go, which was enabled, or not.
func (m *systemd) dropSocket(ctx context.Context, enabled bool, undos *undoing) error {
	text, err := os.ReadFile(m.socket())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explain("read "+m.socket(), err)
	}
	undos.add(func() {
		_ = writeFile(m.socket(), text)
		if enabled {
			_, _ = m.ctl(context.WithoutCancel(ctx), "enable", socketUnit)
		}
	})
	_, _ = m.ctl(ctx, "disable", "--now", socketUnit)
	_ = os.Remove(m.socket())
	_, err = m.ctl(ctx, "daemon-reload")
	return err
}
