//go:build unix

package engine

import (
	"io/fs"
	"syscall"
)

// blockSize is the unit of Stat_t.Blocks, whatever the file system's own is.
const blockSize = 512

// allocated returns what a file takes on the disk.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * blockSize
	}
	return info.Size()
}
