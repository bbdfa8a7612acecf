package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncName is what syncData does here.
const syncName = "fdatasync"

// syncData is what the store does at each commit.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
