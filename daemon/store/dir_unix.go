//go:build !windows

package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ownerOf returns the user that a file belongs to.
func ownerOf(fi fs.FileInfo) (uid int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
func isNotDir(err error) bool   { return errors.Is(err, syscall.ENOTDIR) }

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
