//go:build unix

package demo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// TestCutShort ends the demonstration while the job runs: by Ctrl-C, and by a reader who has seen enough.
func TestCutShort(t *testing.T) {
	for name, cut := range map[string]func(*exec.Cmd, io.Closer) error{
		"Ctrl-C":             func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(os.Interrupt) },
		"told to end":        func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(syscall.SIGTERM) },
		"the reader is gone": func(_ *exec.Cmd, out io.Closer) error { return out.Close() },
	} {
		t.Run(name, func(t *testing.T) {
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
					if err := cut(cmd, out); err != nil {
						t.Fatal(err)
					}
				}
			}
			err = cmd.Wait()
			if cmd.ProcessState.ExitCode() != interrupted {
				t.Errorf("%v, want exit status %d:\n%s", err, interrupted, text.String())
			}
			nothingLeft(t, tmp, text.String())
		})
	}
}
