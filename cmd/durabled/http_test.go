package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/daemon"
	"durable/daemon/config"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
	"durable/ipc/token"
)

// patience bounds a wait for what must happen.
const patience = time.Minute

// world is a daemon in this process that serves HTTP.
type world struct {
	*testing.T
	paths   socket.Paths
	address string
	stop    context.CancelFunc
	left    chan error
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newPaths(t *testing.T, configuration string) socket.Paths {
	t.Helper()
	t.Setenv("SHELL", "/usr/sbin/nologin") // nobody's profile is run
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	return socket.In(dir)
}

func run(t *testing.T, configuration string, flags config.HTTP) *world {
	t.Helper()
	w := &world{T: t, paths: newPaths(t, configuration), left: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	var said safeBuffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	ready := make(chan struct{})
	d := daemon.New(daemon.Config{
		Paths: w.paths, Logger: log, HTTP: flags, Ready: func() { close(ready) },
		Surface: func(svc task.Service) daemon.Surface { return newSurface(svc, log) },
	})
	go func() { w.left <- d.Run(ctx) }()
	t.Cleanup(func() { w.leave() })
	polltest.Until(t, patience, func() error {
		m := regexp.MustCompile(`msg="(?:serving|nothing is served over) HTTP" address=(\S+)`).FindStringSubmatch(said.String())
		if m == nil {
			return fmt.Errorf("no address in the log:\n%s", said.String())
		}
		w.address = m[1]
		return nil
	})
	<-ready
	return w
}

// leave ends the daemon once.
func (w *world) leave() {
	w.Helper()
	w.stop()
	select {
	case err, ok := <-w.left:
		if ok && err != nil {
			w.Errorf("the daemon ended with %v", err)
		}
		if ok {
			close(w.left)
		}
	case <-time.After(patience):
		w.Error("the daemon goes on")
	}
}

func (w *world) do(method, session, body string) *http.Response {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	w.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.address+"/mcp", strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	word, err := token.Load(token.Path(w.paths.State))
	if err != nil {
		w.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + word, "Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Session-Id": session,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { res.Body.Close() })
	return res
}

func (w *world) call(session, body string) string {
	w.Helper()
	all, err := io.ReadAll(w.do(http.MethodPost, session, body).Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(all)
}

// TestHTTPServesTheDaemonsTasks: what is started over HTTP is a task of the daemon's like any other: seen on the socket,
// owned by the daemon's user, with the client's name; and its stream ends when the daemon leaves.
func TestHTTPServesTheDaemonsTasks(t *testing.T) {
	w := run(t, "[http]\naddress = \"127.0.0.1:0\"\n", config.HTTP{})
	defer http.DefaultClient.CloseIdleConnections()
	begin := w.do(http.MethodPost, "", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"tester","version":"9"}}}`)
	_, _ = io.Copy(io.Discard, begin.Body)
	session := begin.Header.Get("Mcp-Session-Id")
	w.call(session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	stream := w.do(http.MethodGet, session, "")

	source := filepath.Join(w.paths.State, "in.csv")
	if err := os.WriteFile(source, []byte("id\n1\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args, _ := json.Marshal(map[string]any{"source_path": source, "destination_path": filepath.Join(w.paths.State, "out.jsonl")})
	answer := w.call(session, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"start_data_migration","arguments":`+string(args)+`}}`)
	if !strings.Contains(answer, "task://status/") {
		t.Fatalf("start: %s", answer)
	}
	c := client.New(client.Options{Socket: w.paths.Socket})
	defer c.Close()
	done, err := c.Wait(t.Context(), "1", patience)
	if err != nil || done.Status != task.StatusCompleted {
		t.Fatalf("%+v, %v", done, err)
	}
	if done.Owner.Client != "tester 9" || done.Owner.UID != os.Getuid() || done.Owner.Via != task.ViaMCP {
		t.Errorf("owner %+v", done.Owner)
	}
	if tools := w.call(session, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`); !strings.Contains(tools, "start_data_migration") {
		t.Errorf("tools: %s", tools)
	}
	said := bufio.NewReader(stream.Body)
	for line := ""; !strings.Contains(line, "Data migration completed: 2 records"); {
		if line, err = said.ReadString('\n'); err != nil {
			t.Fatalf("the stream ended without a word of the migration's end: %v", err)
		}
	}
	w.leave()
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Errorf("the end of the stream: %v", err)
	}
}

// TestPortInUse: the daemon does not start half.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	paths := newPaths(t, "")
	err = daemon.New(daemon.Config{
		Paths: paths, HTTP: config.HTTP{Address: taken.Addr().String()},
		Surface: func(task.Service) daemon.Surface { t.Error("served"); return nil },
		Ready:   func() { t.Error("ready") },
	}).Run(t.Context())
	if e := task.AsError(err); err == nil || e.Hint == "" || !strings.Contains(e.Message, taken.Addr().String()) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(paths.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}

// TestConfiguredPortInUse: an address in the configuration that cannot be had does not keep the tasks away, and status says that nothing
// is served.
func TestConfiguredPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := run(t, fmt.Sprintf("[http]\naddress = %q\n", taken.Addr()), config.HTTP{})
	c := client.New(client.Options{Socket: w.paths.Socket})
	defer c.Close()
	for _, reloaded := range []bool{false, true} {
		if reloaded {
			if _, err := c.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		info, err := c.Info(t.Context())
		if err != nil || !slices.ContainsFunc(info.Warnings, func(s string) bool {
			return strings.Contains(s, taken.Addr().String()) && strings.Contains(s, "restart")
		}) {
			t.Errorf("reloaded %t: warnings %q, %v", reloaded, info.Warnings, err)
		}
	}
	w.leave()
}

// TestHTTPReload: another address is told to need a restart.
func TestHTTPReload(t *testing.T) {
	w := run(t, "[http]\naddress = \"127.0.0.1:0\"\n", config.HTTP{})
	if err := os.WriteFile(w.paths.Config, []byte("[http]\naddress = \"127.0.0.1:1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Options{Socket: w.paths.Socket})
	defer c.Close()
	got, err := c.Reload(t.Context())
	if err != nil || len(got.Changed) != 1 || !strings.Contains(got.Changed[0], "http") || !strings.Contains(got.Changed[0], "restart") {
		t.Errorf("%+v, %v", got, err)
	}
}
