package training

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"durable/ipc/task"
)

func dirOf(path string) string { return filepath.Dir(path) }

// fileError says what an operating system's error about a file means, and what to do about it.
func fileError(err error, what, path string) error {
	var known *task.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return task.Errorf(task.FailedPrecondition, "%s %s: no such file or folder", what, path).
			WithHint("check the path; it is a path of the machine on which the daemon runs")
	case errors.Is(err, fs.ErrPermission):
		return task.Errorf(task.PermissionDenied, "%s %s: permission denied", what, path).
			WithHint("the user as whom the daemon runs may not: ls -ld %s shows who may", path)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s %s: %w", what, path, err)
}
