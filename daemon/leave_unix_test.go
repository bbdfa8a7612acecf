//go:build unix

package daemon_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"durable/daemon"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// running is a daemon in this process.
type running struct {
	*client.Client
	leave func()
	said  chan string
}

// run runs a daemon in this process until leave is called.
func run(t *testing.T, cfg daemon.Config) *running {
	t.Helper()
	r := &running{said: make(chan string, 1000)}
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	cfg.Notify = func(state string) { r.said <- state }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- daemon.New(cfg).Run(ctx) }()
	r.Client = client.New(client.Options{Socket: cfg.Paths.Socket})
	r.leave = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = r.Close()
	})
	t.Cleanup(r.leave)
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("not ready")
	}
	return r
}

// hears waits until the service manager is told that.
func (r *running) hears(t *testing.T, what string) {
	t.Helper()
	for {
		select {
		case state := <-r.said:
			if strings.Contains(state, what) {
				return
			}
		case <-time.After(patience):
			t.Fatalf("the service manager is not told %q", what)
		}
	}
}

// TestProgramsEndWithTheMachine: they get their signal, and their tasks go on in the next boot, as interrupted ones do.
func TestProgramsEndWithTheMachine(t *testing.T) {
	shims, err := shimProgram()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", shims+string(filepath.ListSeparator)+os.Getenv("PATH"))
	dir := shortDir(t)
	cfg := daemon.Config{Paths: socket.In(dir), GoingDown: func(context.Context) bool { return true }}
	first := run(t, cfg)
	first.hears(t, "READY=1")
	up := filepath.Join(dir, "up")
	made, err := first.Submit(t.Context(), task.Spec{
		Kind: commandKind, Params: []byte(`{"command":["sh","-c","trap 'exit 3' TERM; echo > ` + up + `; while :; do sleep 0.05; done"],"cwd":"/"}`),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	first.hears(t, "STATUS=1 running, 0 queued")
	upAndRunning(t, first, made.ID, up)
	first.leave()
	first.hears(t, "STOPPING=1")

	cfg.GoingDown = nil
	second := run(t, cfg)
	got := upAndRunning(t, second, made.ID, up)
	if got.Attempt != 2 || len(got.Attempts) != 1 || got.Attempts[0].Outcome != task.OutcomeInterrupted {
		t.Errorf("after the reboot: attempt %d, %+v", got.Attempt, got.Attempts)
	}
	if _, err := second.Cancel(t.Context(), made.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Error(err)
	}
	if got, err := second.Wait(t.Context(), made.ID.Ref(), patience); err != nil || got.Status != task.StatusCancelled {
		t.Errorf("%s, %v", got.Status, err)
	}
}

// upAndRunning waits until a task's program runs and has made the file.
func upAndRunning(t *testing.T, r *running, id task.ID, file string) task.Task {
	t.Helper()
	var got task.Task
	polltest.Until(t, patience, func() (err error) {
		if got, err = r.Get(t.Context(), id.Ref()); err != nil {
			t.Fatal(err)
		}
		if _, err = os.Stat(file); err == nil && got.Phase != task.PhaseRunning {
			err = fmt.Errorf("%+v", got)
		}
		return err
	})
	return got
}

// TestNoRequestIsLost: somebody else holds the socket, and daemons come and go on it.
func TestNoRequestIsLost(t *testing.T) {
	dir := shortDir(t)
	cfg := daemon.Config{Paths: socket.In(dir)}
	held, err := net.ListenUnix("unix", &net.UnixAddr{Name: cfg.Paths.Socket})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	next := func() *running {
		f, err := held.File()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if cfg.Listener, err = net.FileListener(f); err != nil {
			t.Fatal(err)
		}
		return run(t, cfg)
	}
	web := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, // each finds the socket anew
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", cfg.Paths.Socket)
		},
	}}
	var sent atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	d := next()
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := web.Post("http://durable/v1/tasks", "application/json", strings.NewReader(`{"kind":"noop","params":{}}`))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode >= 300 {
					t.Errorf("status %s", resp.Status)
				}
				sent.Add(1)
			}
		})
	}
	for n := range int64(4) {
		polltest.True(t, patience, "fifty more are sent", func() bool { return sent.Load() >= 50*(n+1) || t.Failed() })
		d.leave()
		d = next()
	}
	close(stop)
	group.Wait()
	if list, err := d.List(t.Context(), task.ListQuery{Limit: 1}); err != nil || list.Total == nil || *list.Total != int(sent.Load()) {
		t.Errorf("%v, %v; want %d tasks", list.Total, err, sent.Load())
	}
}
