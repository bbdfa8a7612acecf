package sandbox_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
	"durable/ipc/task"
)

var bin string

func TestMain(m *testing.M) {
	dir, remove, err := sandboxtest.Build()
	if err != nil {
		panic(err)
	}
	bin = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		remove()
		os.Exit(status)
	}))
}

// short is a folder whose path leaves room for a socket's.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestEnvironmentLeadsNowhereElse(t *testing.T) {
	t.Setenv("PATH", bin)
	t.Setenv("DURABLE_SOCKET", "/elsewhere")
	t.Setenv("DURABLE_AUTOSTART", "0")
	t.Setenv("DURABLE_HOME", "/elsewhere")
	box, err := sandbox.New(short(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := box.Command(t.Context(), "durabled")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, e := range cmd.Env {
		if strings.HasPrefix(e, "DURABLE_") {
			ours = append(ours, e)
		}
	}
	if want := []string{"DURABLE_HOME=" + box.Paths.State}; !slices.Equal(ours, want) {
		t.Errorf("environment %q, want %q", ours, want)
	}
}

func TestProgramThatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	box, err := sandbox.New(short(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Command(t.Context(), "durabled"); !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" {
		t.Errorf("%v, want failed_precondition with a hint", err)
	}
}

func TestFolderWithTooLongAPath(t *testing.T) {
	parent := filepath.Join(short(t), strings.Repeat("x", 200))
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(parent)
	if err == nil { // Windows has no such limit
		err = box.Close(t.Context(), false)
	} else if !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" {
		t.Errorf("%v, want failed_precondition with a hint", err)
	}
	if left := entries(t, parent); len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestCloseEndsTheDaemon(t *testing.T) {
	t.Setenv("PATH", bin)
	tests := []struct {
		name string
		end  func(t *testing.T, box *sandbox.Sandbox)
	}{
		{"never started", nil},
		{"running", func(*testing.T, *sandbox.Sandbox) {}},
		{"killed", func(t *testing.T, box *sandbox.Sandbox) {
			if _, err := box.Kill(t.Context()); err != nil {
				t.Error(err)
			}
			if alive, err := box.Alive(); alive || err != nil {
				t.Errorf("alive %v, %v after Kill", alive, err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parent := short(t)
			box, err := sandbox.New(parent)
			if err != nil {
				t.Fatal(err)
			}
			var cmd *exec.Cmd
			if tt.end != nil {
				cmd = run(t, box)
				tt.end(t, box)
			}
			if err := box.Close(t.Context(), false); err != nil {
				t.Error(err)
			}
			if cmd != nil {
				_ = cmd.Wait() // returns only when it has ended; how, does not matter
			}
			if left := entries(t, parent); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// run starts a daemon and returns when it answers.
func run(t *testing.T, box *sandbox.Sandbox) *exec.Cmd {
	t.Helper()
	cmd, err := box.Command(t.Context(), "durabled", "run")
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := box.Client("test")
	defer func() { _ = c.Close() }()
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cmd
}
