package store

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// initialMmap: none, because bbolt makes the file as large as the map here.
const initialMmap = 0

var noSpaceErrors = []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED}

// networkName returns the name of the network file system that dir is on; empty: it is on none.
func networkName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	volume, err := windows.UTF16PtrFromString(filepath.VolumeName(abs) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(volume) == windows.DRIVE_REMOTE {
		return "a network drive", nil
	}
	return "", nil
}

// freeSpace returns the bytes that this user may still write to the file system of dir.
func freeSpace(dir string) (int64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(free), nil
}

// allocate gives f size bytes of real blocks: NTFS does so with the length.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }

// cached reports whether nearly all of the first size bytes of f are in memory, which this system does not tell.
func cached(*os.File, int64) bool { return false }
