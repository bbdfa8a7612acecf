package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
	"durable/stdioproxy"
)

// patience bounds what a test waits for another process; nothing is expected to take that long.
const patience = time.Minute

// TestMain is also the programs under test: the binary runs as the one that it is called as.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "durable-mcp":
		in, out := stdioproxy.Take()
		fmt.Println("a stray print, which must not reach the host")
		os.Exit(run(os.Args[1:], in, out, os.Stderr))
	case "durabled":
		os.Exit(runDaemon())
	case "launcher":
		os.Exit(launch())
	}
	goleak.VerifyTestMain(m)
}

func runDaemon() int {
	paths, err := socket.DefaultPaths()
	if err == nil {
		err = daemon.New(daemon.Config{Paths: paths, Logger: slog.New(slog.DiscardHandler)}).Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// launch starts durable-mcp on its own streams and leaves without waiting for it, as a host that
// crashes does.
func launch() int {
	cmd := exec.Command(filepath.Join(os.Getenv("PATH"), "durable-mcp"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The test kills us once our child has spoken.
	select {}
}

// place is a folder with the programs and a state folder of its own.
type place struct {
	bin, home string
}

// newPlace makes one; the daemon that somebody starts there goes with the test.
func newPlace(t testing.TB) place {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "d") // a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	p := place{bin: filepath.Join(dir, "bin"), home: filepath.Join(dir, "home")}
	if err := os.Mkdir(p.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"durable-mcp", "durabled", "launcher"} {
		if err := os.Symlink(self, filepath.Join(p.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		p.killDaemon(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p place) socket() string { return filepath.Join(p.home, "durable.sock") }

// client talks to the daemon and never starts one.
func (p place) client() *client.Client {
	return client.New(client.Options{Socket: p.socket(), DialRetry: client.Never})
}

// killDaemon sends SIGKILL to the daemon, if there is one, and waits until it is gone.
func (p place) killDaemon(t testing.TB) {
	t.Helper()
	c := p.client()
	defer func() { _ = c.Close() }()
	info, err := c.Info(context.Background())
	if err != nil {
		return
	}
	proc, err := os.FindProcess(info.PID)
	if err == nil {
		err = proc.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	polltest.True(t, patience, "the daemon dies", func() bool { _, err := c.Info(context.Background()); return err != nil })
}

// command is the program of that name, as a host launches it.
func (p place) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.bin
	cmd.Env = []string{"PATH=" + p.bin, "HOME=" + p.home, "DURABLE_HOME=" + p.home, "SHELL=/usr/sbin/nologin"} // nobody's profile
	return cmd
}

// proxy is a running durable-mcp and both ends of its session.
type proxy struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	// raw is stdout's own end.
	raw io.ReadCloser
	err bytes.Buffer
}

func start(t testing.TB, cmd *exec.Cmd) *proxy {
	t.Helper()
	p := &proxy{t: t, cmd: cmd}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.raw, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(p.raw)
	cmd.Stderr = &p.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *proxy) send(lines ...string) {
	p.t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(p.in, l+"\n"); err != nil {
			p.t.Fatal(err)
		}
	}
}

// next returns the next message that is an answer; every line before it must be a message too.
func (p *proxy) next() map[string]any {
	p.t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.t.Fatalf("read: %v, after %q; stderr: %s", err, line, p.err.String())
		}
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m["jsonrpc"] != "2.0" {
			p.t.Fatalf("stdout has a line that is no message: %q", line)
		}
		if m["method"] == nil {
			return m
		}
	}
}

// exit waits for the end of the process and returns its status. What it still wrote must be messages.
func (p *proxy) exit() int {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	rest, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(rest)) {
		if !json.Valid([]byte(line)) {
			p.t.Errorf("stdout has a line that is no message: %q", line)
		}
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

const (
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

func ping(id int) string { return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, id) }

// TestHandshakeStartsNothing: hosts spawn throw-away copies; none of them may leave a daemon behind.
func TestHandshakeStartsNothing(t *testing.T) {
	at := newPlace(t)
	p := start(t, at.command("durable-mcp"))
	p.send(initialize, initialized,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":3,"method":"resources/templates/list"}`,
		`{"jsonrpc":"2.0","id":4,"method":"resources/subscribe","params":{"uri":"task://list"}}`,
		`{"jsonrpc":"2.0","id":5,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"task://status/{task_id}"},"argument":{"name":"task_id","value":""}}}`)
	for range 5 {
		if m := p.next(); m["error"] != nil {
			t.Errorf("%v", m)
		}
	}
	p.in.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit %d: %s", code, p.err.String())
	}
	if _, err := os.Stat(at.home); !os.IsNotExist(err) {
		t.Errorf("the state folder is there: %v", err)
	}
	if !strings.Contains(p.err.String(), "a stray print") {
		t.Errorf("what others print is not on stderr: %q", p.err.String())
	}
}

// TestEOFWithRepliesDue: everything arrives at once, the end included, and everything is answered.
func TestEOFWithRepliesDue(t *testing.T) {
	const replies = 20 // due within a second of the end
	p := start(t, newPlace(t).command("durable-mcp"))
	var lines []string
	for id := 2; id <= replies; id++ {
		lines = append(lines, ping(id))
	}
	p.send(initialize + "\n" + strings.Join(lines, "\n"))
	p.in.Close()
	seen := map[any]bool{}
	for range replies {
		seen[p.next()["id"]] = true
	}
	if code := p.exit(); code != 0 || len(seen) != replies {
		t.Errorf("exit %d, %d of %d replies", code, len(seen), replies)
	}
}

func TestSignalEnds(t *testing.T) {
	p := start(t, newPlace(t).command("durable-mcp"))
	p.send(initialize)
	p.next()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit %d: %s", code, p.err.String())
	}
}

// TestHostGone: nobody reads stdout any more; the process leaves, and quietly.
func TestHostGone(t *testing.T) {
	p := start(t, newPlace(t).command("durable-mcp"))
	p.send(initialize)
	p.next()
	p.raw.Close()
	p.send(ping(2))
	_ = p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d: %s", code, p.err.String())
	}
	if strings.Contains(p.err.String(), "error") {
		t.Errorf("stderr: %s", p.err.String())
	}
}

// TestParentGone: the host is killed while somebody else holds the other end of stdin open.
func TestParentGone(t *testing.T) {
	at := newPlace(t)
	cmd := at.command("launcher")
	in, out := pipes(t)
	cmd.Stdin, cmd.Stdout = in.r, out.w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.r.Close()
	out.w.Close() // the end of out is the end of durable-mcp: nobody else has it
	if _, err := io.WriteString(in.w, initialize+"\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out.r)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := out.r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil {
		t.Errorf("durable-mcp outlives its parent: %v, wrote %q", err, rest)
	}
}

type pipePair struct{ r, w *os.File }

func pipes(t *testing.T) (in, out pipePair) {
	t.Helper()
	for _, p := range []*pipePair{&in, &out} {
		var err error
		if p.r, p.w, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.r.Close(); p.w.Close() })
	}
	return in, out
}

// TestHugeMessage: 20 MB are refused under their own id, and the session goes on.
func TestHugeMessage(t *testing.T) {
	p := start(t, newPlace(t).command("durable-mcp"))
	p.send(initialize)
	p.next()
	p.send(`{"method":"tools/call","params":{"name":"list_tasks","arguments":{"x":"`+strings.Repeat("y", 20<<20)+`"}},"jsonrpc":"2.0","id":"big"}`, ping(3))
	if m := p.next(); m["id"] != "big" || m["error"] == nil {
		t.Errorf("%v", m)
	}
	if m := p.next(); m["id"] != 3.0 || m["error"] != nil {
		t.Errorf("%v", m)
	}
	p.in.Close()
	p.exit()
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{"--version", 0, "durable-mcp " + task.Version()},
		{"--help", 0, "usage: durable-mcp"},
		{"--protocol=never", 2, `--protocol "never": want auto or legacy`},
		{"--nonsense", 2, "flag provided but not defined"},
		{"extra", 2, `unexpected argument "extra"`},
	} {
		var out, err bytes.Buffer
		code := run(strings.Fields(c.args), io.NopCloser(strings.NewReader("")), &out, &err)
		if code != c.code || !strings.Contains(out.String()+err.String(), c.out) {
			t.Errorf("%s: exit %d, %s%s", c.args, code, out.String(), err.String())
		}
	}
}
