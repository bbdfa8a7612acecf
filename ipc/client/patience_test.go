package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"durable/ipc/client"
	"durable/ipc/task"
)

// TestGivingUp: patience, in synthetic time.
func TestGivingUp(t *testing.T) {
	tests := []struct {
		name     string
		patience time.Duration
		want     time.Duration
	}{
		{"never", client.Never, 0},
		{"default", 0, client.DefaultDialRetry},
		{"a minute", time.Minute, time.Minute},
	}
	for _, tt := range tests {
		path := dir(t) + "/s"
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client.New(client.Options{Socket: path, DialRetry: tt.patience})
				began := time.Now()
				_, err := c.Info(t.Context())
				took := time.Since(began)
				if !errors.Is(err, task.Unavailable) || !strings.Contains(err.Error(), path) || !strings.Contains(task.AsError(err).Hint, "durabled run") {
					t.Errorf("%v", err)
				}
				if took < tt.want || took > tt.want+time.Second {
					t.Errorf("gave up after %s, want %s", took, tt.want)
				}
			})
		})
	}
}

func TestContextEndsTheWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan struct{})
	c := client.New(client.Options{Socket: dir(t) + "/s", DialRetry: client.Forever, Start: func(context.Context) error {
		close(started)
		return nil // and yet nobody listens
	}})
	go func() {
		<-started
		cancel()
	}()
	if _, err := c.Info(ctx); !errors.Is(err, task.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want unavailable and canceled", err)
	}
}

// TestStaleSocket: the file is there, nobody listens: as after a SIGKILL.
func TestStaleSocket(t *testing.T) {
	m := newMemory()
	d := newDaemon(t, m)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := d.client(client.Options{DialRetry: client.Never}).Kinds(within(t)); !errors.Is(err, task.Unavailable) {
		t.Errorf("without Start: %v", err)
	}
	starts := 0
	c := d.client(client.Options{Start: func(context.Context) error { starts++; d.up(); return nil }})
	if _, err := c.List(within(t), task.ListQuery{}); err != nil || starts != 1 {
		t.Errorf("%d starts, %v", starts, err)
	}
}

// TestShutdownStartsNothing: to stop what does not run is no reason to start it.
func TestShutdownStartsNothing(t *testing.T) {
	c := client.New(client.Options{Socket: dir(t) + "/s", Start: func(context.Context) error {
		t.Error("started")
		return nil
	}})
	if err := c.Shutdown(within(t), task.ShutdownRequest{}); !errors.Is(err, task.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
}

// flaky is unavailable a few times, as a daemon that is leaving.
type flaky struct {
	task.UnimplementedService
	left int
}

func (f *flaky) Get(context.Context, task.Ref) (task.Task, error) {
	if f.left--; f.left >= 0 {
		return task.Task{}, task.Errorf(task.Unavailable, "the daemon is leaving")
	}
	return fullTask, nil
}

func TestUnavailableIsAskedAgain(t *testing.T) {
	c := serve(t, &flaky{left: 3}).client(client.Options{})
	if _, err := c.Get(within(t), "1"); err != nil {
		t.Error(err)
	}
	c = serve(t, &flaky{left: 1}).client(client.Options{DialRetry: client.Never})
	if _, err := c.Get(within(t), "1"); !errors.Is(err, task.Unavailable) || err.Error() != "the daemon is leaving" {
		t.Errorf("%v, want the daemon's own words", err)
	}
}
