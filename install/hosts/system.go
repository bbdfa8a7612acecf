package hosts

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// System is the machine and the person whose hosts are looked for. Tests have other ones than [This].
type System struct {
	// GOOS decides which paths hosts use.
	GOOS string
	// Home is the person's home folder.
	Home string
	// Dir is the project, for [Project] scope.
	Dir string
	// Getenv is os.Getenv, LookPath exec.LookPath.
	Getenv   func(string) string
	LookPath func(string) (string, error)
}

// This is the machine that the program runs on, and the folder it runs in.
func This() (System, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return System{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return System{}, err
	}
	return System{GOOS: runtime.GOOS, Home: home, Dir: dir, Getenv: os.Getenv, LookPath: exec.LookPath}, nil
}

func (s System) home(parts ...string) string {
	return filepath.Join(append([]string{s.Home}, parts...)...)
}

// variable is the folder that an environment variable names, or else the one that it would.
func (s System) variable(name string, otherwise ...string) string {
	if dir := s.Getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return s.home(otherwise...)
}

// application is where desktop programs keep their settings: Electron's appData.
func (s System) application(parts ...string) string {
	var dir string
	switch s.GOOS {
	case "windows":
		dir = s.variable("APPDATA", "AppData", "Roaming")
	case "darwin":
		dir = s.home("Library", "Application Support")
	default:
		dir = s.config()
	}
	return filepath.Join(append([]string{dir}, parts...)...)
}

// config is where programs that follow the XDG rules keep their settings.
func (s System) config() string { return s.variable("XDG_CONFIG_HOME", ".config") }

func (s System) local() string { return s.variable("LOCALAPPDATA", "AppData", "Local") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// under are the files called name in the folders that match: those that a pattern finds, in its order.
func (s System) matching(pattern string, name ...string) []File {
	dirs, _ := filepath.Glob(pattern) // the pattern is ours
	var files []File
	for _, dir := range dirs {
		files = append(files, File{Path: filepath.Join(append([]string{dir}, name...)...), marker: dir})
	}
	return files
}
