//go:build unix

package logfile

import (
	"io/fs"
	"syscall"
)

// Allocated returns what a file takes of the disk: less than its length, where it has a hole.
func Allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
