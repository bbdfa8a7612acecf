//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// asRoot is what to type to have all looked at.
const asRoot = "sudo durablectl doctor"

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(stat.Uid), true
}

// handOver gives dir, which we have just made, to the owner of the folder above it. He could have put something else in its place
// meanwhile: only a folder of ours is given away.
func handOver(dir, above string) error {
	to, err := os.Stat(above)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if owner, known := ownerOf(info); !known || owner != os.Geteuid() {
		return fmt.Errorf("%s is not the folder that was made there", dir)
	}
	owner, _ := ownerOf(to)
	return f.Chown(owner, -1)
}
