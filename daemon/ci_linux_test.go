//go:build linux && ci

package daemon_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/socket"
)

// What is in files with the tag ci needs strace, root or the go tool's cache of a checkout, which `go test ./...` must not.

// built builds the real durabled, once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "durabled")
	if err != nil {
		return "", err
	}
	atExit = append(atExit, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "durabled")
	out, err := exec.Command("go", "build", "-o", path, "durable/cmd/durabled").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return path, nil
})

// durabled runs the real program in dir; under strace with args if there are any.
func durabled(t *testing.T, dir string, strace ...string) *process {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{program, "run"}
	if len(strace) > 0 {
		args = slices.Concat([]string{"strace", "-f", "-y", "-s", "64"}, strace, args)
	}
	p := command(t, args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), socket.EnvHome+"="+dir, socket.EnvSocket+"=", "GOMAXPROCS=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.begin()
	t.Cleanup(func() { // strace's death leaves its tracee alone
		select {
		case <-p.exited:
		default:
			_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		}
	})
	return p
}

// listens waits until the daemon in dir answers; it reports false if the process has gone instead.
func (p *process) listens(dir string) bool {
	p.t.Helper()
	c := dial(dir, client.Options{DialRetry: client.Never})
	defer closeClient(c)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := c.Info(p.t.Context()); err == nil {
			return true
		}
		select {
		case <-p.exited:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.t.Fatalf("nobody answers after %s:\n%s", patience, p.stderr.String())
	return false
}

// syscallEvent is one call in a log of strace -f -y. begin and end are places in the order of the log.
type syscallEvent struct {
	begin, end int
	name       string
	file       string // what -y says the first argument is
	text       string // all that was logged of it
	ok         bool   // it did not return an error
	injected   bool
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(?:[\d.]+ )?(\w+)\((\d+)<([^>]*)>(.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +(?:[\d.]+ )?<\.\.\. (\w+) resumed>(.*)$`)
)

// readTrace returns the calls of a log whose first argument is a descriptor, in the order in which they ended.
func readTrace(t *testing.T, path string) []syscallEvent {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var done []syscallEvent
	open := map[string]syscallEvent{} // by thread
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		if m := callLine.FindStringSubmatch(line); m != nil {
			e := syscallEvent{begin: n, name: m[2], file: m[3] + ":" + m[4], text: m[5]}
			if said, cut := strings.CutSuffix(e.text, " <unfinished ...>"); cut {
				e.text = said
				open[m[1]] = e
				continue
			}
			done = append(done, e.finish(n))
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			e, known := open[m[1]]
			if !known || e.name != m[2] {
				continue // a call without a descriptor
			}
			delete(open, m[1])
			e.text += m[3]
			done = append(done, e.finish(n))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return done
}

func (e syscallEvent) finish(n int) syscallEvent {
	e.end = n
	e.ok = !strings.Contains(e.text, "= -1 ") && !strings.Contains(e.text, "= ?")
	e.injected = strings.Contains(e.text, "(INJECTED)")
	return e
}

func (e syscallEvent) isSync() bool { return e.name == "fdatasync" || e.name == "fsync" }

// onStore reports whether the call was on the store's file.
func (e syscallEvent) onStore() bool { return strings.HasSuffix(e.file, "/"+storeName) }
