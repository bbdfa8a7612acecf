package batch

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes the content of f durable, and its length.
func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
