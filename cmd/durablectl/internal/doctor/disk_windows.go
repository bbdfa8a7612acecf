package doctor

import "golang.org/x/sys/windows"

// freeAt is what its user may still write to a folder's volume, in bytes; -1: it cannot be told.
func freeAt(dir string) int64 {
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
