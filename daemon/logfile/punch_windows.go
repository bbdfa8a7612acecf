package logfile

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// zeroData is FILE_ZERO_DATA_INFORMATION.
type zeroData struct {
	offset, end int64
}

// punchHole gives the blocks of a part of f back; f keeps its length.
func punchHole(f *os.File, offset, length int64) error {
	handle := windows.Handle(f.Fd())
	var n uint32
	err := windows.DeviceIoControl(handle, windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
	if err == nil {
		z := zeroData{offset, offset + length}
		err = windows.DeviceIoControl(handle, windows.FSCTL_SET_ZERO_DATA,
			(*byte)(unsafe.Pointer(&z)), uint32(unsafe.Sizeof(z)), nil, 0, &n, nil)
	}
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED) {
		return errors.ErrUnsupported
	}
	return err
}
