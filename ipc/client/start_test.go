package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"durable/ipc/client"
	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// envMode makes this test's program a daemon: "serve" or "die".
const envMode = "DURABLE_TEST_MODE"

// pidService tells its process.
type pidService struct {
	task.UnimplementedService
}

func (pidService) Info(context.Context) (task.Info, error) {
	wd, err := os.Getwd()
	return task.Info{PID: os.Getpid(), Paths: task.Paths{State: wd}, Warnings: os.Args[1:]}, err
}

// runDaemon serves until it is killed.
func runDaemon(mode string) int {
	if mode == "die" {
		fmt.Fprintln(os.Stderr, "durabled: error: the store is broken")
		fmt.Fprintln(os.Stderr, "hint: restore a backup")
		return 3
	}
	p, err := socket.DefaultPaths()
	if err == nil {
		var l net.Listener
		if l, err = socket.Listen(p.Socket); err == nil {
			err = localapi.New(pidService{}, localapi.Options{}).Server().Serve(l)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// home makes a folder for a daemon of this test's program.
func home(t *testing.T, mode string) client.StartOptions {
	t.Helper()
	t.Setenv(socket.EnvHome, dir(t))
	t.Setenv(socket.EnvSocket, "")
	t.Setenv(client.EnvAutostart, "")
	t.Setenv(envMode, mode)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return client.StartOptions{Program: self}
}

// killDaemon ends the daemon whose Info this is, as the kernel would, and leaves its socket.
func killDaemon(t *testing.T, info task.Info) {
	t.Helper()
	p, err := os.FindProcess(info.PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestManyClientsStartOneDaemon(t *testing.T) {
	start := client.Autostart(home(t, "serve"))
	ctx := within(t)
	const clients = 16
	infos := make([]task.Info, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := client.New(client.Options{Start: start}) // each with a lock of its own, as processes have
			defer c.Close()
			var err error
			if infos[i], err = c.Info(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() { killDaemon(t, infos[0]) })
	for _, info := range infos {
		if info.PID != infos[0].PID || info.PID == os.Getpid() {
			t.Errorf("pid %d and %d", info.PID, infos[0].PID)
		}
	}
	info := infos[0]
	checkDetached(t, info.PID)
	if got, want := strings.Join(info.Warnings, " "), "run --lives until_reboot"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if info.Paths.State != os.Getenv(socket.EnvHome) {
		t.Errorf("working folder %s", info.Paths.State)
	}
}

// TestKilledDaemonIsStartedAgain: SIGKILL leaves the socket behind; a dial is refused, and starts one.
func TestKilledDaemonIsStartedAgain(t *testing.T) {
	start := client.Autostart(home(t, "serve"))
	ctx := within(t)
	c := client.New(client.Options{Start: start})
	t.Cleanup(func() { c.Close() })
	first, err := c.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	killDaemon(t, first)
	second, err := c.Info(ctx)
	for err == nil && second.PID == first.PID { // it takes the kernel a moment to end it
		second, err = c.Info(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	killDaemon(t, second)
}

func TestDaemonThatDiesSaysWhy(t *testing.T) {
	o := home(t, "die")
	err := client.StartDetached(within(t), o)
	if !errors.Is(err, task.Unavailable) {
		t.Fatalf("%v, want unavailable", err)
	}
	for _, want := range []string{": the store is broken", "exit status 3"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if e := task.AsError(err); !strings.HasPrefix(e.Hint, "restore a backup; ") || !strings.Contains(e.Hint, "durabled.log") {
		t.Errorf("hint %q", e.Hint)
	}
	// The next failure must not repeat this one's words.
	again := client.StartDetached(within(t), o)
	if n := strings.Count(again.Error(), "the store is broken"); n != 1 {
		t.Errorf("%q: %d times", again, n)
	}
}

func TestNoAutostart(t *testing.T) {
	tests := []struct {
		name string
		set  func(t *testing.T, home string)
		want string
	}{
		{"switched off", func(t *testing.T, _ string) { t.Setenv(client.EnvAutostart, "0") }, "DURABLE_AUTOSTART=0"},
		{"stopped", func(t *testing.T, home string) {
			if err := os.WriteFile(filepath.Join(home, "stopped"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "on purpose"},
		{"no program", func(t *testing.T, _ string) { t.Setenv("PATH", "") }, "neither beside this program nor on PATH"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := home(t, "serve")
			tt.set(t, os.Getenv(socket.EnvHome))
			if tt.name == "no program" {
				o.Program = ""
			}
			c := client.New(client.Options{Start: client.Autostart(o), DialRetry: client.Never})
			_, err := c.Info(within(t))
			if !errors.Is(err, task.Unavailable) || !strings.Contains(err.Error(), tt.want) || task.AsError(err).Hint == "" {
				t.Errorf("%v, want unavailable with %q and a hint", err, tt.want)
			}
		})
	}
}

func TestDeliberateStartLiftsTheMark(t *testing.T) {
	o := home(t, "serve")
	o.Deliberate = true
	mark := filepath.Join(os.Getenv(socket.EnvHome), "stopped")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := client.StartDetached(within(t), o); err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Options{})
	t.Cleanup(func() { c.Close() })
	info, err := c.Info(within(t))
	if err != nil {
		t.Fatal(err)
	}
	killDaemon(t, info)
	if _, err := os.Lstat(mark); err == nil {
		t.Error("the mark is still there")
	}
}

// TestRootStartsNothingByItself: anybody else does, here a program that is no daemon.
func TestRootStartsNothingByItself(t *testing.T) {
	o := home(t, "die")
	t.Setenv(socket.EnvHome, "")
	t.Setenv("HOME", dir(t))
	want := "ended at once"
	if os.Geteuid() == 0 {
		want = "root"
	}
	err := client.StartDetached(within(t), o)
	if !errors.Is(err, task.Unavailable) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want unavailable with %q", err, want)
	}
}

// TestOthersMayStart: autostart is off, and the daemon comes back all the same, as a service does.
func TestOthersMayStart(t *testing.T) {
	o := home(t, "serve")
	t.Setenv(client.EnvAutostart, "0")
	m := newMemory()
	d := newDaemon(t, m)
	o.Socket = d.path
	c := d.client(client.Options{Start: func(ctx context.Context) error {
		err := client.StartDetached(ctx, o)
		d.up()
		return err
	}})
	if _, err := c.List(within(t), task.ListQuery{}); err != nil {
		t.Error(err)
	}
}
