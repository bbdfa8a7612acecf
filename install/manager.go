package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	kardianos "github.com/kardianos/service"

	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// nothing is the library's idea of a program: it only has to register one.
type nothing struct{}

func (nothing) Start(kardianos.Service) error { return nil }
func (nothing) Stop(kardianos.Service) error  { return nil }

// run runs a program of the system and returns what it printed. Its error has what it said on stderr.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	if said := strings.TrimSpace(stderr.String()); said != "" {
		err = fmt.Errorf("%s: %s (%w)", name, strings.Join(strings.Fields(said), " "), err)
	} else {
		err = fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), err
}

// explain makes an error of the service manager, or of the library, one of ours.
func explain(what string, err error) *task.Error {
	var known *task.Error
	if errors.As(err, &known) {
		return known
	}
	code := task.Internal
	if errors.Is(err, fs.ErrPermission) {
		code = task.PermissionDenied
	}
	return task.Errorf(code, "%s: %w", what, err)
}

// undoing is what has to be done to take back what was done, in reverse.
type undoing []func()

func (u *undoing) add(f func()) { *u = append(*u, f) }

func (u *undoing) run() {
	for i := len(*u) - 1; i >= 0; i-- {
		(*u)[i]()
	}
	*u = nil
}

// writeOver puts text into a file by rename. What it returns puts back what was there.
func writeOver(path, text string) (undo func(), err error) {
	before, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, explain("read "+path, err)
	}
	if err := writeFile(path, []byte(text)); err != nil {
		return nil, explain("write "+path, err)
	}
	return func() {
		if missing {
			_ = os.Remove(path)
			return
		}
		_ = writeFile(path, before)
	}, nil
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o644)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
