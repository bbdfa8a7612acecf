//go:build ci && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
	"durable/ipc/polltest"
)

// window is a terminal that tmux shows nobody.
type window struct {
	*testing.T
	socket string
	read   int // how much of its history was matched
}

func (w *window) tmux(args ...string) string {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), "tmux", append([]string{"-u", "-f", os.DevNull, "-S", w.socket}, args...)...).CombinedOutput()
	if err != nil {
		w.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// send types a line.
func (w *window) send(line string) {
	w.Helper()
	if line != "" {
		w.tmux("send-keys", "-t", "menu", "-l", line)
	}
	w.tmux("send-keys", "-t", "menu", "Enter")
}

// expect waits until something new on the terminal matches, and returns the groups.
func (w *window) expect(pattern string) []string {
	w.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	polltest.Until(w, time.Minute, func() error {
		history := strings.TrimRight(w.tmux("capture-pane", "-p", "-J", "-t", "menu", "-S", "-20000"), " \n")
		if w.read <= len(history) {
			if at := re.FindStringSubmatchIndex(history[w.read:]); at != nil {
				found = re.FindStringSubmatch(history[w.read:])
				w.read += at[1]
				return nil
			}
		}
		return fmt.Errorf("nothing matches %q in\n%s", pattern, history[min(w.read, len(history)):])
	})
	return found
}

// TestCIMenu is the tutorial's transcript in a terminal, step by step: look, start, leave, come back, watch, cancel.
func TestCIMenu(t *testing.T) {
	bin, remove, err := sandboxtest.Build()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	home, err := os.MkdirTemp("/tmp", "d")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	env := append(os.Environ(), "DURABLE_HOME="+home, "SHELL=/bin/sh", "PATH="+bin+":"+os.Getenv("PATH"), "PS1=$ ", "TERM=xterm-256color", "TMUX=")
	ctl := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), sandboxtest.Program(bin, "durablectl"), args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("durablectl %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	rows := "id,name\n" + strings.Repeat("1,a\n", 1000)
	if err := os.WriteFile(filepath.Join(home, "in.csv"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}

	w := &window{T: t, socket: filepath.Join(home, "tmux")}
	open := exec.CommandContext(t.Context(), "tmux", "-u", "-f", os.DevNull, "-S", w.socket, "new-session", "-d", "-s", "menu", "-x", "150", "-y", "50", "-c", home, "/bin/sh")
	open.Env = env
	if out, err := open.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	defer w.tmux("kill-server")
	defer ctl("shutdown") // nobody is left behind

	const id = `([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`
	prompt := func() { t.Helper(); w.expect(`8\. Exit\n\nSelect an option \(1-8\):`) }
	w.send("durablectl menu")
	w.expect(`Interactive Demo of the MCP Durability System\n={55}\nConnected to the durability server\n`)
	prompt()
	w.send("5")
	w.expect(`Task list:\n   No tasks\n`)
	prompt()
	w.send("x")
	w.expect(`Invalid option\. Please select 1-8\.\n`)
	prompt()

	w.send("1")
	w.expect(`Source \(a file or a database\):`)
	w.send("in.csv")
	w.expect(`Destination \(a file or a database\):`)
	w.send("out.csv")
	w.expect(`Number of records to migrate \(default 500\):`)
	w.send("1000")
	w.expect(`Starting data migration: 1000 records\n   Source: ` + home + `/in\.csv\n   Destination: ` + home + `/out\.csv\n`)
	short := w.expect(`Task started\. Resource URI: task://status/` + id + `\nTask URI: task://status/`)[1]
	prompt()
	w.send("6")
	w.expect(`Available tasks:\n   1\. ID: ` + short)
	w.expect(`Select a task \(1-1\) or press Enter to cancel:`)
	w.send("1")
	w.expect(`Selected task: ` + short + `\nMonitoring task ` + short + `\.\.\.\n`)
	w.expect(`\[█{20}\] 100\.0% \| (?:RUNNING|COMPLETED) \| Migrated 1000/1000 records`)
	w.expect(`Task completed: ` + short + `\nResults:\n    migrated_records: 1000\n`)
	prompt()

	// One that is not through for a while comes from somebody else.
	ctl("start", "noop", "--param", "duration=1h")
	w.send("5")
	long := w.expect(`Task list:\n   ID: ` + id + ` \| (?:RUNNING|PENDING)   \|   0\.\d% \| `)[1]
	w.expect(`ID: ` + short + ` \| COMPLETED \| 100\.0% \| Migrated 1000/1000 records\n`)
	prompt()
	w.send("8")
	w.expect(`Bye!\n\$`)

	w.send("durablectl menu")
	prompt()
	w.send("5")
	w.expect(`ID: ` + long + ` \| RUNNING   \|   0\.\d% \| `)
	prompt()
	w.send("6")
	w.expect(`Select a task \(1-2\) or press Enter to cancel:`)
	w.send("1")
	w.expect(`Monitoring task ` + long + `\.\.\.\n`)
	w.expect(`\[░{20}\]   0\.\d% \| RUNNING \| `)
	w.expect(`Timeout for task ` + long + `\n`)
	prompt()
	w.send("7")
	w.expect(`Select a task \(1-2\) or press Enter to cancel:`)
	w.send("1")
	w.expect(`Selected task: ` + long + `\nTask ` + long + ` cancelled\. Status available at: task://status/` + long + `\n`)
	prompt()
	w.send("5")
	w.expect(`ID: ` + long + ` \| CANCELLED \|   0\.\d% \| `)
	prompt()
	w.send("4")
	w.expect(`Total tasks: 2\n   Running: 0\n   Completed: 1\n   Failed: 0\n   Cancelled: 1\n   Pending: 0\n   Active background tasks: 0\n`)
	prompt()
	w.tmux("send-keys", "-t", "menu", "C-c")
	w.expect(`Demo interrupted\. Bye! The tasks go on; durablectl list\n\$`) // and the shell reads again
	w.send("echo $?")
	w.expect(`\n130\n`)
}
