package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// initialMmap is the address space that is mapped from the start. bbolt cannot map more while a view is
// open, and would keep the committer waiting for it.
const initialMmap = 1 << 30

var noSpaceErrors = []error{unix.ENOSPC, unix.EDQUOT}

// networkFS are the file systems on which neither locks nor mapped files can be trusted.
var networkFS = map[uint32]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "SMB",
	unix.V9FS_MAGIC:       "9p",
}

// networkName returns the name of the network file system that dir is on; empty: it is on none.
func networkName(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("statfs: %w", err)
	}
	return networkFS[uint32(st.Type)], nil
}

// freeSpace returns the bytes that this user may still write to the file system of dir.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// allocate gives f size bytes of real blocks; errors.ErrUnsupported where that cannot be had.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// cached reports whether nearly all of the first size bytes of f are in memory; false where the kernel, older than 6.5, cannot tell.
func cached(f *os.File, size int64) bool {
	var st unix.Cachestat_t
	err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{Len: uint64(size)}, &st, 0)
	return err == nil && int64(st.Cache)*int64(os.Getpagesize()) > size/10*9
}
