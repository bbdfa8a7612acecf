//go:build unix

package hosts

import (
	"io/fs"
	"os"
	"syscall"
)

// chown gives f the owner of another file, where we may: with sudo the configuration stays the person's.
func chown(f *os.File, as fs.FileInfo) {
	if stat, ok := as.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid))
	}
}
