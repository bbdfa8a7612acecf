package command

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"durable/daemon/shim"
)

// find returns the absolute path of a program as the environment that it will have finds it. A relative path is one
// below the folder that it runs in.
func find(name, cwd string, env []string) (string, error) {
	if expanded, err := absolute("command", name); err == nil {
		return expanded, checkProgram(name, expanded)
	}
	if strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator) {
		path := filepath.Join(cwd, name)
		return path, checkProgram(name, path)
	}
	var refused error
	for _, dir := range filepath.SplitList(lookup(env, "PATH")) {
		if !filepath.IsAbs(dir) {
			continue // it would mean another program in each folder
		}
		for _, ext := range extensions(name, env) {
			path := filepath.Join(dir, name+ext)
			err := checkProgram(name, path)
			if err == nil {
				return path, nil
			}
			if !errors.Is(err, fs.ErrNotExist) && refused == nil {
				refused = err // as a shell does, say so only if there is no other
			}
		}
	}
	if refused != nil {
		return "", refused
	}
	e := invalid("command: %s: no such program on the PATH", Mask(name))
	e.Err = fs.ErrNotExist
	if strings.ContainsAny(name, " \t\n;|&<>") {
		return "", e.WithHint("each argument is a word of its own; a line for the shell: durablectl run --shell 'LINE'")
	}
	return "", e.WithHint("give its absolute path, or env PATH; PATH is %s", shorten(lookup(env, "PATH")))
}

// extensions are the endings that a program's name may get: on Windows those of PATHEXT.
func extensions(name string, env []string) []string {
	if runtime.GOOS != "windows" || filepath.Ext(name) != "" {
		return []string{""}
	}
	list := lookup(env, "PATHEXT")
	if list == "" {
		list = ".com;.exe;.bat;.cmd"
	}
	return strings.Split(list, ";")
}

// checkProgram refuses what cannot be run, as far as that can be known.
func checkProgram(name, path string) error {
	name = Mask(name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("command: %s: no such program: %w", name, fs.ErrNotExist).WithHint("check the path: %s", Mask(path))
	case err != nil:
		return invalid("command: %s: %w", name, err).WithHint("check the path: %s", Mask(path))
	case info.IsDir():
		return invalid("command: %s: a folder", name).WithHint("name the program in it")
	case !info.Mode().IsRegular():
		return invalid("command: %s: not a program", name)
	case !executable(path, info):
		return invalid("command: %s: not executable", name).WithHint("chmod +x %s, or run it by its interpreter", Mask(path))
	}
	return checkInterpreter(name, path)
}

// checkInterpreter looks for what a script says that it is run by.
func checkInterpreter(name, path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // what may be run need not be readable
	}
	defer f.Close()
	head := make([]byte, 256)
	n, _ := io.ReadFull(f, head) // a short file is one too
	line, isScript := strings.CutPrefix(string(head[:n]), "#!")
	line, _, whole := strings.Cut(line, "\n")
	words := strings.Fields(line)
	if !isScript || !whole || len(words) == 0 || !filepath.IsAbs(words[0]) {
		return nil
	}
	if strings.HasSuffix(line, "\r") {
		return invalid("command: %s: its first line ends with a carriage return", name).WithHint("convert it: sed -i 's/\\r$//' %s", Mask(path))
	}
	if _, err := os.Stat(words[0]); errors.Is(err, fs.ErrNotExist) {
		return invalid("command: %s: its interpreter %s is not there", name, words[0]).WithHint("change its first line")
	}
	return nil
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("cwd: %s: no such folder", dir).WithHint("make it, or name another")
	case err != nil:
		return invalid("cwd: %w", err).WithHint("name another folder")
	case !info.IsDir():
		return invalid("cwd: %s: not a folder", dir).WithHint("name the folder that it is in")
	case !enterable(dir):
		return invalid("cwd: %s: may not be entered", dir).WithHint("chmod +x %s, or name another folder", dir)
	}
	return nil
}

func checkStdin(path string) error {
	if path == "" || path == shim.StdinOpen {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return invalid("stdin: %s: no such file", path).WithHint(`name a file, or "open" to send input later`)
	case err != nil:
		return invalid("stdin: %w", err)
	case info.IsDir():
		return invalid("stdin: %s: a folder", path).WithHint("name a file in it")
	case info.Mode()&fs.ModeNamedPipe != 0:
		return invalid("stdin: %s: a named pipe", path).WithHint(`use "open", which survives restarts`)
	}
	f, err := os.Open(path)
	if err != nil {
		return invalid("stdin: %w", err).WithHint("it must be yours to read")
	}
	return f.Close()
}
