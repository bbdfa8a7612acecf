//go:build unix

package command

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// executable asks the kernel; root may run only what somebody may.
func executable(path string, info fs.FileInfo) bool {
	return info.Mode()&0o111 != 0 && unix.Access(path, unix.X_OK) == nil
}

func enterable(dir string) bool { return unix.Access(dir, unix.X_OK) == nil }
