//go:build unix

package migration

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// writable reports why path cannot be written, by asking the system, not by trying.
func writable(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
