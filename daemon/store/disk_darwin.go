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
var networkFS = map[string]string{"nfs": "NFS", "smbfs": "SMB", "afpfs": "AFP", "webdav": "WebDAV"}

// networkName returns the name of the network file system that dir is on; empty: it is on none.
func networkName(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("statfs: %w", err)
	}
	return networkFS[unix.ByteSliceToString(st.Fstypename[:])], nil
}

// freeSpace returns the bytes that this user may still write to the file system of dir.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// allocate gives f size bytes of real blocks; errors.ErrUnsupported where that cannot be had.
func allocate(f *os.File, size int64) error {
	err := unix.FcntlFstore(f.Fd(), unix.F_PREALLOCATE, &unix.Fstore_t{
		Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: size,
	})
	if errors.Is(err, unix.ENOTSUP) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// cached reports whether nearly all of the first size bytes of f are in memory, which this system does not tell.
func cached(*os.File, int64) bool { return false }
