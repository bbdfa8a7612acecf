package policy

import (
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// resolved is e as it is compared.
func resolved(e task.Effect) task.Effect {
	switch e.Act {
	case task.ActRun:
		e.Program, e.Folder = nameOf(e.Program), follow(e.Folder)
	case task.ActOverwrite:
		e.Path = follow(e.Path)
	}
	return e
}

// nameOf follows the links in a program's folder, and leaves its own name.
func nameOf(program string) string {
	if !filepath.IsAbs(program) {
		return program // nobody's: it is neither listed nor approved under that name
	}
	return filepath.Join(follow(filepath.Dir(program)), filepath.Base(program))
}

// follow returns where a path leads. What is not there yet is taken as it is called, in the folder that it
// would be in.
func follow(path string) string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(follow(parent), filepath.Base(path))
}

// within reports whether path is folder or below it; both are clean.
func within(path, folder string) bool {
	rest, ok := strings.CutPrefix(path, folder)
	return ok && filepath.IsAbs(folder) && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(folder, string(filepath.Separator)))
}
