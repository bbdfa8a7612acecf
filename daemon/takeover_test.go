package daemon_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"durable/daemon"
	"durable/ipc/socket"
)

// lines are what a logger says, a line each.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestTakeover: a killed daemon's socket is gone before its lock. Who is started in between begins its
// life when the lock is free, and does not die of it.
func TestTakeover(t *testing.T) {
	t.Run("no socket", func(t *testing.T) { takeOver(t, func(socket.Paths) func() { return func() {} }) })
	// A child of the daemon that was killed before the child's exec has lock and socket, and answers nobody.
	t.Run("no answer", func(t *testing.T) {
		takeOver(t, func(paths socket.Paths) func() {
			l, err := socket.Listen(paths.Socket)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = l.Close() }
		})
	})
}

func takeOver(t *testing.T, before func(socket.Paths) (end func())) {
	paths := socket.In(shortDir(t))
	held, err := socket.TryLock(paths.Lock)
	if err != nil {
		t.Fatal(err)
	}
	end := before(paths)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, ready, ended := make(lines, 10), make(chan struct{}), make(chan error, 1)
	cfg := daemon.Config{Paths: paths, Logger: slog.New(slog.NewTextHandler(said, nil)), Ready: func() { close(ready) }}
	go func() { ended <- daemon.New(cfg).Run(ctx) }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-ready:
		t.Fatal("two at a time")
	case line := <-said:
		if !strings.Contains(line, "waiting for the daemon before") {
			t.Fatalf("said %q", line)
		}
	}
	end()
	held.Unlock()
	select {
	case err := <-ended:
		t.Fatalf("it ended when its turn had come: %v", err)
	case <-ready:
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
