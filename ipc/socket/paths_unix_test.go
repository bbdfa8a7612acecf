//go:build unix

package socket_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// world sets what the paths depend on.
func world(t *testing.T, home, durableHome, durableSocket string) {
	t.Setenv("HOME", home)
	t.Setenv(socket.EnvHome, durableHome)
	t.Setenv(socket.EnvSocket, durableSocket)
	t.Setenv("XDG_STATE_HOME", "/elsewhere")
	t.Setenv("XDG_RUNTIME_DIR", "/elsewhere")
	t.Setenv("XDG_CONFIG_HOME", "/elsewhere")
}

func TestDefaultPaths(t *testing.T) {
	world(t, "/home/u", "", "")
	p, err := socket.DefaultPaths()
	if err != nil {
		t.Fatal(err)
	}
	if p.Config != "/home/u/.config/durable/config.toml" || p.Home || p.System {
		t.Errorf("%+v", p)
	}
	for _, path := range []string{p.Socket, p.Store, p.Lock, p.StartLock, p.Log, p.Stopped, p.Kinds, p.Tasks} {
		if filepath.Dir(path) != p.State || strings.HasPrefix(path, "/elsewhere") {
			t.Errorf("%s is not in %s", path, p.State)
		}
	}

	world(t, "/home/u", "/h/", "")
	if p, err = socket.DefaultPaths(); err != nil || p.Socket != "/h/durable.sock" || p.Config != "/h/config.toml" || !p.Home {
		t.Errorf("%+v %v", p, err)
	}
	world(t, "/home/u", "/h", "/s/x")
	if p, err = socket.DefaultPaths(); err != nil || p.Socket != "/s/x" || p.State != "/h" {
		t.Errorf("%+v %v", p, err)
	}
}

// TestNoHome: a scrubbed environment still has the user database.
func TestNoHome(t *testing.T) {
	world(t, "", "", "")
	p, err := socket.DefaultPaths()
	if err != nil || !filepath.IsAbs(p.State) {
		t.Errorf("%+v %v", p, err)
	}
}

func TestPathsRefused(t *testing.T) {
	long := "/" + strings.Repeat("x", socket.MaxPath)
	tests := []struct{ name, home, sock, explicit, want string }{
		{"relative home", "here", "", "", "DURABLE_HOME=here"},
		{"relative socket", "", "x.sock", "", "DURABLE_SOCKET x.sock"},
		{"long socket", "", long, "", "the limit is"},
		{"relative explicit", "", "", "x.sock", "socket x.sock"},
		{"long explicit", "", "", long, "the limit is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world(t, "/home/u", tt.home, tt.sock)
			_, err := socket.Find(tt.explicit)
			if !errors.Is(err, task.InvalidArgument) || !strings.Contains(err.Error(), tt.want) || task.AsError(err).Hint == "" {
				t.Errorf("%v, want invalid_argument with %q and a hint", err, tt.want)
			}
		})
	}
}

func TestFindOrder(t *testing.T) {
	home := dir(t)
	world(t, home, "", "")
	own, err := socket.DefaultPaths()
	if err != nil {
		t.Fatal(err)
	}
	find := func(explicit string) socket.Paths {
		t.Helper()
		p, err := socket.Find(explicit)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := find("/x/y"); p.Socket != "/x/y" || p.State != own.State {
		t.Errorf("explicit: %+v", p)
	}
	if p := find(""); p != own {
		t.Errorf("nothing runs: %+v, want the user's own", p)
	}
	t.Setenv(socket.EnvSocket, "/a/b")
	if p := find(""); p.Socket != "/a/b" {
		t.Errorf("%s: %+v", socket.EnvSocket, p)
	}
	if p := find("/x/y"); p.Socket != "/x/y" {
		t.Errorf("explicit before %s: %+v", socket.EnvSocket, p)
	}
}

// TestSystemSocketIsApart: who may only connect needs a way to the socket, and none into the state folder.
func TestSystemSocketIsApart(t *testing.T) {
	p := socket.SystemPaths()
	if strings.HasPrefix(p.Socket, p.State+"/") || filepath.Dir(filepath.Dir(p.Socket)) == "/" {
		t.Errorf("the socket is %s, the state in %s", p.Socket, p.State)
	}
}

// TestFindSystem: the system service is found where this user has no daemon, and not before his own.
func TestFindSystem(t *testing.T) {
	home, sys := dir(t), filepath.Join(dir(t), "sys.sock")
	world(t, home, "", "")
	socket.SetSystemSocket(t, sys)
	l, err := socket.Listen(sys, socket.ForSystem())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if p, err := socket.Find(""); err != nil || p.Socket != sys || !p.System {
		t.Errorf("%+v %v, want the system's", p, err)
	}
	own, _ := socket.DefaultPaths()
	if err := os.MkdirAll(own.State, 0o700); err != nil {
		t.Fatal(err)
	}
	mine, err := net.Listen("unix", own.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if p, err := socket.Find(""); err != nil || p != own {
		t.Errorf("%+v %v, want the user's own", p, err)
	}
	mine.Close()
	t.Setenv(socket.EnvHome, home)
	if p, err := socket.Find(""); err != nil || p.Socket != filepath.Join(home, "durable.sock") {
		t.Errorf("%+v %v, want that of %s", p, err, socket.EnvHome)
	}
}
