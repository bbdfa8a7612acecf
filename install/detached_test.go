//go:build unix

package install

import (
	"context"
	"io"
	"os"
	"testing"

	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// TestDetachedDaemonLeaves: one that is there already makes room for the service, and comes back where there is none in the end.
func TestDetachedDaemonLeaves(t *testing.T) {
	for _, broken := range []string{"", "start v1.0.0", "register"} {
		s, f := newTest(t)
		f.broken = broken
		left := detachedDaemon(t, s)
		back := false
		s.detach = func(context.Context) error {
			back = true
			if f.registered || s.home.inForce() != "" {
				t.Error("it is started before all is as it was")
			}
			return nil
		}
		if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); (err == nil) != (broken == "") {
			t.Error(err)
		}
		if gone := left(); gone != (broken != "register") || back != (broken == "start v1.0.0") {
			t.Errorf("broken %q: it has left: %t, and is back: %t", broken, gone, back)
		}
	}
}

// detachedDaemon is one that leaves when asked. What it returns ends it, and reports whether it had left.
func detachedDaemon(t *testing.T, s *Service) (left func() bool) {
	t.Helper()
	if err := os.MkdirAll(s.paths.State, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := socket.Listen(s.paths.Socket)
	if err != nil {
		t.Fatal(err)
	}
	d := &leaver{l: l, asked: make(chan task.ShutdownRequest, 1)}
	server := localapi.New(d, localapi.Options{}).Server()
	done := make(chan error, 1)
	asked, end := context.WithCancel(context.Background())
	lock, err := socket.TryLock(s.paths.Lock) // as a daemon holds it: until it no longer listens
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		err := server.Serve(l)
		if bad := lock.Unlock(); bad != nil {
			t.Error(bad)
		}
		done <- err
	}()
	go func() {
		select {
		case <-d.asked:
			end()
			_ = server.Shutdown(context.Background()) // once the answer is out
		case <-asked.Done():
		}
	}()
	return func() bool {
		gone := asked.Err() != nil
		end()
		_ = server.Close()
		if err := <-done; err == nil {
			t.Error("it serves on")
		}
		return gone
	}
}

// leaver is a daemon that leaves when asked.
type leaver struct {
	task.UnimplementedService
	l     io.Closer
	asked chan task.ShutdownRequest
}

func (*leaver) Info(context.Context) (task.Info, error) { return task.Info{PID: -7}, nil }
func (d *leaver) Shutdown(_ context.Context, req task.ShutdownRequest) error {
	d.asked <- req
	return nil
}
