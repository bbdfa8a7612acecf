//go:build unix

package demo

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// alive: a zombie that nobody has buried yet is not.
func alive(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}

// interrupted is the exit status after Ctrl-C.
const interrupted = 130

// TestInterrupted ends the demonstration while the job runs.
func TestInterrupted(t *testing.T) {
	cmd, tmp := command(t)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "The app dies") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != interrupted {
		t.Errorf("%v, want exit status %d:\n%s", err, interrupted, text.String())
	}
	nothingLeft(t, tmp, text.String())
}
