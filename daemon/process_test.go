package daemon_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// patience bounds every wait for something that must happen; only a hanging test meets it.
const patience = time.Minute

// shortDir returns a folder whose path leaves room for a socket's name: the limit is about 104 bytes.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(shortTemp, "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	return dir
}

// removeAll removes a folder in which a process may still write: os.RemoveAll alone fails on a file that comes while it is at work.
func removeAll(t testing.TB, dir string) {
	t.Helper()
	polltest.Until(t, patience, func() error { return os.RemoveAll(dir) })
}

// touch makes an empty file: what somebody waits for.
func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// process is a daemon in a process of its own: this test binary, run again.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr safeBuffer
	ready  chan struct{} // closed when the socket takes requests
	exited chan struct{} // closed when the process has gone and was reaped
	point  string        // the point at which it killed itself; read after exited
	err    error         // of Wait; read after exited
}

// start runs a daemon in dir and returns at once. arm, if not empty, is a value of envKill.
func start(t testing.TB, dir, arm string, env ...string) *process {
	t.Helper()
	p := command(t, os.Args[0])
	p.cmd.Env = append(os.Environ(), envChild+"=1", envKill+"="+arm, socket.EnvHome+"="+dir, socket.EnvSocket+"=")
	p.cmd.Env = append(p.cmd.Env, "GORACE=atexit_sleep_ms=0") // a child that was built with -race would sleep a second at its end
	p.cmd.Env = append(p.cmd.Env, env...)
	p.begin()
	return p
}

func command(t testing.TB, name string, args ...string) *process {
	return &process{t: t, cmd: exec.Command(name, args...), ready: make(chan struct{}), exited: make(chan struct{})}
}

// begin starts the process. It is killed at the end of the test at the latest.
func (p *process) begin() {
	p.t.Helper()
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.stdin, p.cmd.Stderr = stdin, &p.stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go p.watch(stdout)
	p.t.Cleanup(func() {
		p.kill()
		if said := p.stderr.String(); strings.Contains(said, "DATA RACE") {
			p.t.Errorf("in the daemon:\n%s", said)
		}
	})
}

func (p *process) watch(stdout io.Reader) {
	defer close(p.exited)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if lines.Text() == "ready" {
			close(p.ready)
		}
		if point, ok := strings.CutPrefix(lines.Text(), "killed at "); ok {
			p.point = point
		}
	}
	p.err = p.cmd.Wait()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// awaitReady waits until the socket takes requests. It reports false if the process went before.
func (p *process) awaitReady() bool {
	p.t.Helper()
	select {
	case <-p.ready:
		return true
	case <-p.exited:
		return false
	case <-time.After(patience):
		p.t.Fatalf("the daemon is not ready after %s:\n%s", patience, p.stderr.String())
		return false
	}
}

// up waits until the socket takes requests.
func (p *process) up() *process {
	p.t.Helper()
	if !p.awaitReady() {
		p.t.Fatalf("the daemon has gone (%v):\n%s", p.err, p.stderr.String())
	}
	return p
}

// kill is SIGKILL, and waits until the process has gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have gone already
	<-p.exited
}

// wait waits for the end of the process and returns its exit status: -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the daemon is still there after %s:\n%s", patience, p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends the daemon as durablectl shutdown does, and fails the test unless it leaves with status 0.
func (p *process) stop(dir string) {
	p.t.Helper()
	c := dial(dir, client.Options{})
	defer closeClient(c)
	if err := c.Shutdown(p.t.Context(), task.ShutdownRequest{Restart: true}); err != nil {
		p.t.Fatalf("shutdown: %v", err)
	}
	if status := p.wait(); status != 0 {
		p.t.Fatalf("the daemon left with status %d:\n%s", status, p.stderr.String())
	}
}

// dial returns a client of the daemon in dir.
func dial(dir string, o client.Options) *client.Client {
	o.Socket = socket.In(dir).Socket
	if o.Name == "" {
		o.Name = "test"
	}
	return client.New(o)
}

func closeClient(c *client.Client) { _ = c.Close() }

// safeBuffer is a bytes.Buffer for a process's output: read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// storeName is the file in which a daemon keeps its store.
const storeName = "store.db"

func storeFile(dir string) string { return filepath.Join(dir, storeName) }
