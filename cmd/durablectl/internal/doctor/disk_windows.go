package doctor

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// freeAt is what its user may still write to a folder's volume, in bytes; -1: it cannot be told. The system service's folder is closed
// to others, its volume is not.
func freeAt(dir string) int64 {
	if free := freeFor(dir); free >= 0 {
		return free
	}
	return freeFor(filepath.VolumeName(dir) + `\`)
}

func freeFor(dir string) int64 {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return -1
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(name, &free, nil, nil) != nil {
		return -1
	}
	return int64(free)
}
