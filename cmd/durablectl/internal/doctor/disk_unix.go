//go:build unix

package doctor

import "golang.org/x/sys/unix"

// freeAt is what its user may still write to a folder's file system, in bytes; -1: it cannot be told.
func freeAt(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
