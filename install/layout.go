package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"durable/ipc/task"
)

// programs are those that belong together.
var programs = []string{"durabled", "durablectl", "durable-mcp", "durable-shim"}

// linked are those that people and hosts name.
var linked = []string{"durablectl", "durable-mcp"}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// layout is where programs are installed.
type layout struct {
	lib string // its folder has a folder for each version
	bin string // a folder on people's PATH; empty: none
}

// currentName is the link to the version in force.
const currentName = "current"

func (l layout) current() string { return filepath.Join(l.lib, currentName) }

func (l layout) program(name string) string { return filepath.Join(l.current(), exe(name)) }

// inForce returns the folder of the version in force, "" if there is none.
func (l layout) inForce() string {
	target, err := readCurrent(l.current())
	if err != nil {
		return ""
	}
	return filepath.Join(l.lib, filepath.Base(target))
}

// version returns the installed version.
func (l layout) version() string { return versionOf(l.inForce()) }

// versionOf takes the version from the name of a folder.
func versionOf(folder string) string {
	name := filepath.Base(folder)
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		return name[:i]
	}
	return ""
}

// source is a set of programs to install.
type source struct {
	dir, version, sum string
}

func (s source) name() string { return s.version + "-" + s.sum }

// findSource looks at the programs in dir (empty: beside this executable), and runs the daemon to ask its version: one that does
// not run here must not be installed.
func findSource(ctx context.Context, dir string) (source, error) {
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return source{}, err
		}
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		dir = filepath.Dir(self)
	}
	hash := sha256.New()
	for _, name := range programs {
		f, err := os.Open(filepath.Join(dir, exe(name)))
		if errors.Is(err, fs.ErrNotExist) {
			return source{}, task.Errorf(task.FailedPrecondition, "%s is not in %s", exe(name), dir).
				WithHint("all four programs belong into one folder; --from names another one")
		}
		if err == nil {
			_, err = io.Copy(hash, f)
			_ = f.Close()
		}
		if err != nil {
			return source{}, task.Errorf(task.FailedPrecondition, "read the programs to install: %w", err)
		}
	}
	version, err := askVersion(ctx, filepath.Join(dir, exe("durabled")))
	if err != nil {
		return source{}, err
	}
	return source{dir, version, hex.EncodeToString(hash.Sum(nil))[:8]}, nil
}

func askVersion(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	version := strings.TrimSpace(strings.TrimPrefix(string(out), "durabled version "))
	if err != nil || version == "" || strings.ContainsFunc(version, unfit) {
		return "", task.Errorf(task.FailedPrecondition, "%s does not run here, or is no daemon of ours (it says %.60q, %v)", program, out, err)
	}
	return version, nil
}

// unfit reports what a version cannot have, since it names a folder.
func unfit(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~", r)
}

// put copies the programs into the folder of their version, unless they are there, and returns it. The folder appears under its name
// when it is whole and on disk. What it returns besides undoes that.
func (l layout) put(s source) (dir string, undo func(), err error) {
	nothing := func() {}
	dir = filepath.Join(l.lib, s.name())
	if _, err := os.Stat(dir); err == nil {
		return dir, nothing, nil
	}
	if err := os.MkdirAll(l.lib, 0o755); err != nil {
		return "", nothing, task.Errorf(task.FailedPrecondition, "folder for the programs: %w", err)
	}
	tmp, err := os.MkdirTemp(l.lib, ".new-")
	if err != nil {
		return "", nothing, task.Errorf(task.FailedPrecondition, "folder for the programs: %w", err)
	}
	for _, name := range programs {
		if err = copyProgram(filepath.Join(s.dir, exe(name)), filepath.Join(tmp, exe(name))); err != nil {
			break
		}
	}
	if err == nil {
		err = os.Chmod(tmp, 0o755)
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		_ = os.RemoveAll(tmp)
		return "", nothing, task.Errorf(task.FailedPrecondition, "copy the programs: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(0o755) // whatever the umask
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// turn makes dir the version in force. What it returns turns back to the one before, or to none.
func (l layout) turn(dir string) (undo func(), err error) {
	before := l.inForce()
	if before == dir {
		return func() {}, nil
	}
	if err := setCurrent(l.current(), dir); err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "put %s in force: %w", filepath.Base(dir), err)
	}
	return func() {
		if before == "" {
			_ = removeCurrent(l.current())
			return
		}
		_ = setCurrent(l.current(), before)
	}, nil
}

// link puts the programs that people name on their PATH, where nothing else has the name. It returns those that were made.
func (l layout) link() (made []string) {
	if l.bin == "" || os.MkdirAll(l.bin, 0o755) != nil {
		return nil
	}
	for _, name := range linked {
		path := filepath.Join(l.bin, name)
		if target, err := os.Readlink(path); err == nil && target == l.program(name) {
			continue
		}
		if os.Symlink(l.program(name), path) == nil {
			made = append(made, path)
		}
	}
	return made
}

// unlink removes those links.
func (l layout) unlink() {
	if l.bin == "" {
		return
	}
	for _, name := range linked {
		path := filepath.Join(l.bin, name)
		if target, err := os.Readlink(path); err == nil && target == l.program(name) {
			_ = os.Remove(path)
		}
	}
}

// prune removes all versions but those in keep. What cannot be removed (a program that runs, on Windows) goes the next time.
func (l layout) prune(keep ...string) {
	entries, err := os.ReadDir(l.lib)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(l.lib, e.Name())
		if e.Name() != currentName && !slices.Contains(keep, path) && (versionOf(path) != "" || strings.HasPrefix(e.Name(), ".new-")) {
			_ = os.RemoveAll(path)
		}
	}
}

// remove takes all of it away, and says what had to stay.
func (l layout) remove() error {
	l.unlink()
	if err := removeCurrent(l.current()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", l.current(), err)
	}
	l.prune()
	err := os.Remove(l.lib)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("programs that still run stay in %s", l.lib)
	}
	return nil
}
