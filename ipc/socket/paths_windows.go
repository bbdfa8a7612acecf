package socket

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// MaxPath is the longest name of a pipe, in characters.
const MaxPath = 256

const (
	pipePrefix = `\\.\pipe\`
	systemPipe = pipePrefix + "durable"
)

// socketIn derives the pipe's name from the folder, so that two folders never share a daemon. Paths
// are compared without regard to case, as the file system does.
func socketIn(folder string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(filepath.Clean(folder))))
	return pipePrefix + "durable-" + hex.EncodeToString(sum[:8])
}

// userPaths: not in AppData, whose writes the packaged Claude Desktop redirects for its children.
func userPaths(home string) Paths { return In(filepath.Join(home, ".durable")) }

// SystemPaths returns the paths of the system service.
func SystemPaths() Paths {
	data := os.Getenv("ProgramData")
	if !filepath.IsAbs(data) {
		data = `C:\ProgramData`
	}
	p := In(filepath.Join(data, "durable"))
	p.Socket = systemPipe
	p.System = true
	return p
}

func checkName(what, name string) error {
	if len(name) <= len(pipePrefix) || !strings.EqualFold(name[:len(pipePrefix)], pipePrefix) {
		return task.Errorf(task.InvalidArgument, "%s %s: not the name of a pipe", what, name).
			WithHint(`name it as %sNAME`, pipePrefix)
	}
	return checkLength(name)
}

func checkLength(name string) error {
	if len(name) <= MaxPath {
		return nil
	}
	return task.Errorf(task.InvalidArgument, "pipe name: %d characters, the limit is %d: %s", len(name), MaxPath, name).
		WithHint("set %s to a shorter name", EnvSocket)
}

// exists looks the name up in the folder of pipes: to open a pipe would use up one of its instances.
func exists(name string) bool {
	entries, err := os.ReadDir(pipePrefix)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if strings.EqualFold(pipePrefix+e.Name(), name) {
			return true
		}
	}
	return false
}

// admits: whether a pipe lets us in only the dial can tell.
func admits(name string) bool { return exists(name) }
