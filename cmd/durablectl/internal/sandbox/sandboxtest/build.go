// Package sandboxtest builds durable's programs for tests that run the real ones.
//
// # Design
//
// One go build into one folder, as a user does it; the cache makes it cheap. Rejected: the test binary standing in for
// each program, since what is on trial is how the programs find each other.
package sandboxtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

var programs = []string{"durablectl", "durabled", "durable-mcp", "durable-shim"}

// envPrograms names a folder that has the programs already, of the same sources: who tests package after package builds them once.
const envPrograms = "DURABLE_TEST_PROGRAMS"

// Build builds the programs into a new folder and returns it with what removes it. From then on no daemon that a test starts asks the
// tester's login shell.
func Build() (dir string, remove func(), err error) {
	if err = os.Setenv("SHELL", "/usr/sbin/nologin"); err != nil { // nobody's profile is run
		return "", nil, err
	}
	if dir = os.Getenv(envPrograms); dir != "" {
		return dir, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "durable-bin-"); err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) } // a folder of temporary files
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator))
	for _, name := range programs {
		build.Args = append(build.Args, "durable/cmd/"+name)
	}
	if out, err := build.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	return dir, remove, nil
}

// Program returns the path of a program in a folder that [Build] made.
func Program(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}
