package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// newLayout: not in AppData, whose writes the packaged Claude Desktop redirects for its children.
func newLayout(system bool) (layout, error) {
	if system {
		files := os.Getenv("ProgramFiles")
		if !filepath.IsAbs(files) {
			files = `C:\Program Files`
		}
		return layout{lib: filepath.Join(files, "durable")}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return layout{}, task.Errorf(task.FailedPrecondition, "this user has no home folder").WithHint("set USERPROFILE")
	}
	return layout{lib: filepath.Join(home, ".durable", "programs")}, nil
}

// noteName is a file in the folder current that names the version: links need a right that most users have not.
const noteName = "version.txt"

func readCurrent(folder string) (string, error) {
	b, err := os.ReadFile(filepath.Join(folder, noteName))
	return strings.TrimSpace(string(b)), err
}

// setCurrent copies the programs of dir over those in folder. A program that runs cannot be written over, but renamed: it goes
// aside, and away the next time.
func setCurrent(folder, dir string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(folder, "*.old*"))
	for _, path := range old {
		_ = os.Remove(path)
	}
	for _, name := range programs {
		if err := replace(filepath.Join(dir, exe(name)), filepath.Join(folder, exe(name))); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, noteName), []byte(filepath.Base(dir)+"\r\n"), 0o644)
}

func replace(from, to string) error {
	tmp := to + ".new"
	_ = os.Remove(tmp)
	if err := copyProgram(from, tmp); err != nil {
		return err
	}
	aside, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".old*")
	if err != nil {
		return err
	}
	if err := errors.Join(aside.Close(), os.Remove(aside.Name())); err != nil {
		return err
	}
	if err := os.Rename(to, aside.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, to); err != nil {
		return errors.Join(err, os.Rename(aside.Name(), to))
	}
	_ = os.Remove(aside.Name()) // unless it runs
	return nil
}

func removeCurrent(folder string) error { return os.RemoveAll(folder) }
