package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

// onTerminal runs durablectl with a terminal of 100 columns as its stdout and returns what it wrote; do
// is what happens meanwhile.
func onTerminal(t *testing.T, home string, env []string, do func(), args ...string) string {
	t.Helper()
	master, tty := openTerminal(t)
	path, err := exec.LookPath("durablectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(append(os.Environ(), "DURABLE_HOME="+home, "TERM=xterm", "NO_COLOR="), env...)
	cmd.Stdout, cmd.Stderr = tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	var out bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&out, master) // ends with EIO when the last one has closed the terminal
	}()
	do()
	if err := cmd.Wait(); err != nil {
		t.Errorf("durablectl %v: %v", args, err)
	}
	<-read
	return strings.ReplaceAll(out.String(), "\r\n", "\n")
}

func openTerminal(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, tty
}

func TestTerminal(t *testing.T) {
	home, err := os.MkdirTemp("/tmp", "d")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	f, err := serve(home)
	if err != nil {
		t.Fatal(err)
	}
	defer f.quit()
	at := start
	f.add(task.Task{Kind: "noop", Title: "first", Status: task.StatusRunning, Phase: task.PhaseRunning, Attempt: 1,
		StartedAt: &at, Progress: task.Progress{Done: 10, Total: task.Total(100)}})
	listOnTerminal(t, home)
	watchOnTerminal(t, home, f)
}

func listOnTerminal(t *testing.T, home string) {
	t.Helper()
	nothing := func() {}
	list := onTerminal(t, home, nil, nothing, "list")
	if !strings.Contains(list, "\x1b[36mrunning\x1b[0m") || !strings.Contains(list, "█░") {
		t.Errorf("list on a terminal has no colours or no bar:\n%q", list)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if plain := onTerminal(t, home, []string{env}, nothing, "list"); strings.Contains(plain, "\x1b") {
			t.Errorf("%s: list has escape sequences:\n%q", env, plain)
		}
	}
}

func watchOnTerminal(t *testing.T, home string, f *fake) {
	t.Helper()
	got := onTerminal(t, home, []string{"NO_COLOR=1"}, func() {
		if err := f.until(t.Context(), func() bool { return f.lookedAt > 0 }); err != nil {
			t.Fatal(err)
		}
		if _, err := f.change("1", task.EventProgress, func(t *task.Task) error { t.Progress.Done = 60; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := f.change("1", task.EventStatus, end(task.StatusCompleted)); err != nil {
			t.Fatal(err)
		}
	}, "watch", "1")
	if !strings.HasSuffix(got, "1 completed in 3s: first\n  moved  7\n") {
		t.Errorf("watch does not end with the task's end:\n%q", got)
	}
	if !strings.Contains(got, "1 running ███████████████░░░░░░░░░░ 60%  60 of 100\n\x1b[1A\x1b[J") {
		t.Errorf("watch has no bar that is taken away again:\n%q", got)
	}
}
