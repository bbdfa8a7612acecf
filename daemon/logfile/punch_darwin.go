package logfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fPunchhole is F_PUNCHHOLE of <sys/fcntl.h>. Its argument, fpunchhole_t, is flags and a reserved word of 32 bits
// each, offset and length: the beginning of an fstore_t.
const fPunchhole = 99

// punchHole gives the blocks of a part of f back; f keeps its length.
func punchHole(f *os.File, offset, length int64) error {
	err := unix.FcntlFstore(f.Fd(), fPunchhole, &unix.Fstore_t{Offset: offset, Length: length})
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENODEV) {
		return errors.ErrUnsupported
	}
	return err
}
