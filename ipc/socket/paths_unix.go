//go:build unix

package socket

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

func socketIn(folder string) string { return filepath.Join(folder, socketName) }

// userPaths: the configuration lies where people look for it, the rest in one folder.
func userPaths(home string) Paths {
	p := In(stateDir(home))
	p.Config = filepath.Join(home, ".config", "durable", configName)
	return p
}

// SystemPaths returns the paths of the system service.
func SystemPaths() Paths {
	p := In(systemState)
	p.Socket = systemSocket
	p.Config = "/etc/durable/" + configName
	p.System = true
	return p
}

func checkName(what, path string) error {
	if !filepath.IsAbs(path) {
		return task.Errorf(task.InvalidArgument, "%s %s: not an absolute path", what, path).
			WithHint("name the socket by its absolute path")
	}
	return checkLength(path)
}

// checkLength: the kernel's own answer to a path that is too long is a bare "invalid argument".
func checkLength(path string) error {
	if len(path) <= MaxPath {
		return nil
	}
	return task.Errorf(task.InvalidArgument, "socket path: %d bytes, the limit is %d: %s", len(path), MaxPath, path).
		WithHint("set %s to a shorter path, or %s to a folder with a shorter one", EnvSocket, EnvHome)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// admits reports whether path is a socket that this process may connect to.
func admits(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == os.ModeSocket && unix.Access(path, unix.W_OK) == nil
}
