package protocol

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// SyncDir: NTFS journals names by itself, and a folder cannot be synced.
func SyncDir(string) error { return nil }

// MakeFIFO: there are none.
func MakeFIFO(string) error { return nil }

// Create makes the file dir/name, of which there is none, and returns when it is on disk: what is open cannot be renamed.
func Create(dir, name string, data []byte) error { return Write(dir, name, data, true) }

func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}
