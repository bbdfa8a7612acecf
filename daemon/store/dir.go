package store

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"durable/ipc/task"
)

// prepareDir makes the state folder where it is missing, and refuses one that a store must not be in.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return errAccess(dir, err)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return errAccess(dir, err)
	}
	if !fi.IsDir() {
		return task.Errorf(task.FailedPrecondition, "state folder %s is a file", dir).
			WithHint("move it away, or name another folder: DURABLE_HOME")
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o002 != 0 {
		return task.Errorf(task.PermissionDenied, "state folder %s may be written by everybody", dir).
			WithHint("chmod 0700 %s", dir)
	}
	if uid, ok := ownerOf(fi); ok && uid != os.Geteuid() {
		return task.Errorf(task.PermissionDenied, "state folder %s belongs to user %d, this is user %d", dir, uid, os.Geteuid()).
			WithHint("run as that user, or name another folder: DURABLE_HOME")
	}
	name, err := networkName(dir)
	if err != nil {
		return errAccess(dir, err)
	}
	if name != "" {
		return task.Errorf(task.FailedPrecondition, "state folder %s is on %s, where neither locks nor syncs can be trusted", dir, name).
			WithHint("name a folder on a local disk: DURABLE_HOME")
	}
	return nil
}

// errAccess explains why a file or folder cannot be used.
func errAccess(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), isReadOnly(err):
		return task.Errorf(task.PermissionDenied, "%s: %w", path, err).
			WithHint("the state folder must be yours and on a disk that can be written to; DURABLE_HOME names another")
	case isNoSpace(err):
		return errFull(path, err)
	case isNotDir(err), errors.Is(err, fs.ErrExist):
		return task.Errorf(task.FailedPrecondition, "%s: %w", path, err).
			WithHint("a file is where a folder is needed: move it away, or name another folder: DURABLE_HOME")
	}
	return task.Errorf(task.FailedPrecondition, "%s: %w", path, err).
		WithHint("see what is there; DURABLE_HOME names another state folder")
}
