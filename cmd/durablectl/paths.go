package main

import (
	"os"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// absolute returns path as the daemon can use it: the daemon's own folder and home are not the caller's.
func absolute(path string) (string, error) {
	if path == "" {
		return "", usage("a path is empty")
	}
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", task.Errorf(task.FailedPrecondition, "%s: %w", path, err).WithHint("give an absolute path")
		}
		return filepath.Join(home, rest), nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", task.Errorf(task.FailedPrecondition, "%s: %w", path, err).WithHint("give an absolute path")
	}
	return abs, nil
}

// source returns where data comes from or goes to: a URL as it is, a path absolute.
func source(name, place string) (string, error) {
	if place == "" {
		return "", usage("%s is empty", name)
	}
	if strings.Contains(place, "://") {
		return place, nil
	}
	return absolute(place)
}
