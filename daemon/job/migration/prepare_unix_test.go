//go:build unix

package migration

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"durable/ipc/task"
)

func TestPrepareRefusesPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, paths(pipe, filepath.Join(t.TempDir(), "o.csv")))})
	wantCode(t, err, task.InvalidArgument, "not a regular file")
}

func TestFileErrors(t *testing.T) {
	for errno, code := range map[syscall.Errno]task.Code{
		syscall.ENOSPC: task.ResourceExhausted, syscall.EDQUOT: task.ResourceExhausted,
		syscall.EACCES: task.PermissionDenied, syscall.EPERM: task.PermissionDenied, syscall.EROFS: "",
	} {
		err := fileError(&fs.PathError{Op: "write", Path: "/d/x", Err: errno}, "destination", "/d/x")
		if code != "" {
			wantCode(t, err, code, "destination /d/x")
		} else if want := "destination /d/x: " + errno.Error(); err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
