package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"durable/ipc/task"
)

// programNames are those that belong into one folder.
var programNames = []string{"durabled", "durablectl", "durable-mcp", "durable-shim"}

// programs: all four, in one folder, of one version.
func (v *visit) programs(ctx context.Context) []Finding {
	var found []Finding
	folder := ""
	for _, name := range programNames {
		path, err := v.Find(name)
		if err != nil {
			found = append(found, failure("put all four programs into one folder: "+strings.Join(programNames, ", "), "%s is missing", executable(name)))
			continue
		}
		dir := filepath.Dir(path)
		switch {
		case folder == "":
			folder = dir
		case dir != folder:
			found = append(found, warning("put all four programs into one folder", "%s is in %s, others in %s", executable(name), dir, folder))
		}
		if name == "durable-shim" { // it has no flags: it is as small as can be
			continue
		}
		if version, err := versionOf(ctx, path); err != nil {
			found = append(found, failure("install it again, for this system and processor", "%s does not run: %v", path, err))
		} else if version != task.Version() {
			found = append(found, failure("install all four programs anew, from one version", "%s is %s, durablectl is %s", path, version, task.Version()))
		}
	}
	if len(found) == 0 {
		return one(ok("all four in %s, version %s", folder, task.Version()))
	}
	return found
}

// versionOf asks a program.
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	arg := "--version"
	if strings.HasPrefix(filepath.Base(path), "durablectl") {
		return selfVersion(path)
	}
	out, err := exec.CommandContext(ctx, path, arg).Output()
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return "", os.ErrInvalid
	}
	return words[len(words)-1], nil
}

// selfVersion: the one that is found is this very program, mostly.
func selfVersion(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	return task.Version(), nil
}
