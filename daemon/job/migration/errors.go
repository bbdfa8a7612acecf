package migration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"durable/ipc/task"
)

// rowError is a record that cannot be migrated. The others can: on_error decides.
type rowError struct {
	line int64 // 0 until the reader or the pipeline has filled it in
	msg  string
	// What there is of the record, for on_error=file: its text, or its values.
	raw    []byte
	record []byte
}

func (e *rowError) Error() string { return e.msg }

func rowErrorf(format string, args ...any) *rowError {
	return &rowError{msg: fmt.Sprintf(format, args...)}
}

// fatal is e as the end of a task whose on_error is "fail".
func (e *rowError) fatal(path string) *task.Error {
	return task.Errorf(task.InvalidArgument, "%s, line %d: %s", path, e.line, e.msg).
		WithDetail("line", e.line).
		WithHint("mend that line, or leave such records out with on_error=skip, or on_error=file")
}

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
		home, _ := os.UserHomeDir()
		return task.Errorf(task.PermissionDenied, "%s %s: permission denied", what, path).
			WithHint("%s", permissionHint(runtime.GOOS, home, path, errors.Is(err, syscall.EPERM)))
	case isFull(err):
		return diskFull(what, path)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return task.Errorf(task.InvalidArgument, "%s %s: %w", what, path, unwrapPath(err)).
			WithHint("check the path; it is a path of the machine on which the daemon runs")
	}
	return fmt.Errorf("%s %s: %w", what, path, unwrapPath(err))
}

// unwrapPath drops operation and path from err: the message names them already.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func diskFull(what, path string) error {
	return task.Errorf(task.ResourceExhausted, "%s %s: no space left on the disk", what, path).
		WithHint("free some space in %s, then retry the task: it goes on where it stopped", filepath.Dir(path))
}

// permissionHint knows that macOS answers EPERM, not EACCES, where the user has not yet allowed a
// program to see a folder: no chmod helps there.
func permissionHint(goos, home, path string, eperm bool) string {
	if goos == "darwin" && eperm && home != "" {
		for _, dir := range []string{"Documents", "Desktop", "Downloads"} {
			if strings.HasPrefix(path, filepath.Join(home, dir)+string(filepath.Separator)) {
				return "macOS guards " + dir + ": allow durabled under System Settings > Privacy & Security > " +
					"Files and Folders (or Full Disk Access), or move the file elsewhere"
			}
		}
	}
	return "the user as whom the daemon runs may not: ls -ld " + path + " shows who may"
}

// sqliteError says what SQLite's error means.
func sqliteError(err error, what, path string) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fileError(err, what, path)
	}
	switch e.Code() {
	case sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY:
		return task.Errorf(task.FailedPrecondition, "%s %s: was not closed properly and needs recovery", what, path).
			WithHint("open it once with its own program, or: sqlite3 %s 'pragma user_version'", path)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return task.Errorf(task.Unavailable, "%s %s: locked by another program", what, path).
			WithHint("close what holds the database, then retry the task")
	case sqlite3.SQLITE_FULL:
		return diskFull(what, path)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return task.Errorf(task.FailedPrecondition, "%s %s: not a SQLite database, or a damaged one", what, path).
			WithHint("sqlite3 %s 'pragma integrity_check' tells which", path)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH:
		return task.Errorf(task.PermissionDenied, "%s %s: %s", what, path, e.Error()).
			WithHint("the daemon must be able to write the file and its folder (SQLite keeps a journal there)")
	}
	return fmt.Errorf("%s %s: %w", what, path, err)
}

// isConstraint reports whether a statement was refused for what a record holds.
func isConstraint(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}
