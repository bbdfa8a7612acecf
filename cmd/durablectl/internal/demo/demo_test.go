package demo

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
	"durable/ipc/polltest"
	"durable/ipc/task"
)

// command returns durablectl demo, and the folder in which it makes its own.
func command(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) }) // a test that failed already said why it is not empty
	cmd := exec.CommandContext(t.Context(), sandboxtest.Program(bin, "durablectl"), append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "TMP="+tmp)
	return cmd, tmp
}

var process = regexp.MustCompile(`\(process (\d+)\)`)

// nothingLeft fails the test if a file or a process that the output names is still there.
func nothingLeft(t *testing.T, tmp, output string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	named := process.FindAllStringSubmatch(output, -1)
	if len(named) == 0 {
		t.Errorf("no process is named in:\n%s", output)
	}
	for _, m := range named {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		// A daemon gives its lock back, which is what the demonstration waits for, a moment before its process ends.
		polltest.True(t, patience, "process "+m[1]+" ends", func() bool { return !alive(pid) })
	}
}

func TestTheWholeStory(t *testing.T) {
	cmd, tmp := command(t)
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	counts := regexp.MustCompile(`^The app was killed once, the daemon once\. ([\d,]+) rows went in, ([\d,]+) came out:$`).
		FindStringSubmatch(lines[len(lines)-2])
	if counts == nil || counts[1] != counts[2] || lines[len(lines)-1] != "0 lost, 0 doubled, 0 changed." {
		t.Errorf("last lines: %q", lines[len(lines)-2:])
	}
	for _, claim := range []string{
		"200,000 rows", "task://status/", "kill -9 durable-mcp", "kill -9 durabled", "second attempt", "8. The proof",
	} {
		if !strings.Contains(text, claim) {
			t.Errorf("%q is not told in:\n%s", claim, text)
		}
	}
	if strings.ContainsRune(text, '\x1b') {
		t.Error("colours, but no terminal")
	}
	nothingLeft(t, tmp, text)
}

func TestBadRows(t *testing.T) {
	for _, rows := range []int{-1, 0, MinRows - 1, MaxRows + 1} {
		if err := Run(context.Background(), Options{Rows: rows}); !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%d rows: %v", rows, err)
		}
	}
}

func TestUnfinished(t *testing.T) {
	tests := []struct {
		status task.Status
		want   error
	}{
		{task.StatusPending, nil},
		{task.StatusRunning, nil},
		{task.StatusCompleted, errTooFast},
		{task.StatusFailed, task.Internal},
		{task.StatusCancelled, task.Internal},
	}
	for _, tt := range tests {
		if err := unfinished(task.Summary{Status: tt.status}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.status, err, tt.want)
		}
	}
}
