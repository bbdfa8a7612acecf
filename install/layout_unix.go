//go:build unix

package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"durable/ipc/task"
)

func newLayout(system bool) (layout, error) {
	if system {
		return layout{lib: "/usr/local/lib/durable", bin: "/usr/local/bin"}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return layout{}, task.Errorf(task.FailedPrecondition, "this user has no home folder").WithHint("set HOME")
	}
	return layout{lib: filepath.Join(home, ".local", "lib", "durable"), bin: filepath.Join(home, ".local", "bin")}, nil
}

func readCurrent(link string) (string, error) { return os.Readlink(link) }

// setCurrent makes the new link beside the old one and renames it: whoever starts a program finds one or the other.
func setCurrent(link, dir string) error {
	tmp := link + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Base(dir), tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

func removeCurrent(link string) error { return os.Remove(link) }
