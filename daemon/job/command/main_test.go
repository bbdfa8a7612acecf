package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, fn := range atExit {
			fn()
		}
		os.Exit(code)
	}))
}

// atExit is what several tests share and the last one leaves.
var atExit []func()

// holderProgram builds the real durable-shim, once.
var holderProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		return "", err
	}
	atExit = append(atExit, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "durable-shim")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", path, "durable/cmd/durable-shim").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build durable-shim: %w\n%s", err, out)
	}
	return path, nil
})
