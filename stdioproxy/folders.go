package stdioproxy

import (
	"os"
	"path/filepath"
	"strings"
)

// BaseFolder returns the folder that relative paths of tool arguments are taken from: the project's,
// where the host names one, else the folder that the host started us in, unless that says nothing: the
// root (where Claude Desktop starts servers), the home, or the system's own. Empty: there is none.
func BaseFolder() string {
	home, _ := os.UserHomeDir()
	cwd, err := os.Getwd()
	if err != nil {
		cwd = ""
	}
	return baseFolder(os.Getenv("CLAUDE_PROJECT_DIR"), cwd, home, os.Getenv("SystemRoot"))
}

func baseFolder(project, cwd, home, system string) string {
	if filepath.IsAbs(project) {
		return filepath.Clean(project)
	}
	switch {
	case !filepath.IsAbs(cwd), filepath.Dir(cwd) == cwd, sameFolder(cwd, home):
		return ""
	case system != "" && within(cwd, system):
		return ""
	}
	return filepath.Clean(cwd)
}

// sameFolder also holds where one of them is named through a symbolic link.
func sameFolder(a, b string) bool {
	if b == "" {
		return false
	}
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}

func within(path, folder string) bool {
	rel, err := filepath.Rel(strings.ToLower(folder), strings.ToLower(path))
	return err == nil && filepath.IsLocal(rel)
}
