package command

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

func executable(path string, _ fs.FileInfo) bool {
	return slices.Contains([]string{".exe", ".com", ".bat", ".cmd"}, strings.ToLower(filepath.Ext(path)))
}

func enterable(string) bool { return true }
