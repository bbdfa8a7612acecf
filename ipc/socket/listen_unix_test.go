//go:build unix

package socket_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"durable/ipc/socket"
	"durable/ipc/task"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// TestModes holds for the widest umask.
func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	tests := []struct {
		name         string
		opts         []socket.Option
		folder, sock fs.FileMode
	}{
		{"user", nil, 0o700, 0o600},
		{"system", []socket.Option{socket.ForSystem()}, 0o750, 0o660},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := filepath.Join(dir(t), "made", "new")
			path := filepath.Join(folder, "durable.sock")
			l, err := socket.Listen(path, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if got := mode(t, folder); got != fs.ModeDir|tt.folder {
				t.Errorf("folder %v, want %v", got, tt.folder)
			}
			if got := mode(t, path); got != fs.ModeSocket|tt.sock {
				t.Errorf("socket %v, want %v", got, tt.sock)
			}
			if l.Addr().String() != path {
				t.Errorf("address %s", l.Addr())
			}
			names, _ := filepath.Glob(filepath.Join(folder, "*"))
			if len(names) != 2 {
				t.Errorf("left behind: %v, want the socket and its lock", names)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Close: %v", err)
			}
			if err := l.Close(); err == nil {
				t.Error("a second Close finds nothing closed")
			}
		})
	}
}

// leaveStale makes a socket that nobody listens on, as a SIGKILL does.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(dir(t), "durable.sock")
	leaveStale(t, path)
	leaveStale(t, filepath.Join(filepath.Dir(path), "durable.soc~")) // and one between bind and rename
	if _, err := socket.Dial(context.Background(), path); !socket.Absent(err) {
		t.Errorf("dial: %v, want absent", err)
	}
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := socket.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestLiveSocketIsNotStolen, with its lock file and without.
func TestLiveSocketIsNotStolen(t *testing.T) {
	path := filepath.Join(dir(t), "durable.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 2 {
		second, err := socket.Listen(path)
		if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), "another daemon") || task.AsError(err).Hint == "" {
			t.Fatalf("%v %v", second, err)
		}
		conn, err := socket.Dial(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		os.Remove(path + ".lock") // somebody tidies up
	}
}

// TestCloseLeavesWhatIsNotOurs: somebody removed our socket and another one took the name.
func TestCloseLeavesWhatIsNotOurs(t *testing.T) {
	path := filepath.Join(dir(t), "durable.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	leaveStale(t, path)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("it removed another's socket")
	}
}

// TestOneOfManyListens: of daemons that start at once one gets the socket, and it works.
func TestOneOfManyListens(t *testing.T) {
	path := filepath.Join(dir(t), "durable.sock")
	leaveStale(t, path)
	var won atomic.Int32
	var winner atomic.Pointer[net.Listener]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := socket.Listen(path)
			if err == nil {
				won.Add(1)
				winner.Store(&l)
			} else if !errors.Is(err, task.FailedPrecondition) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d got it", won.Load())
	}
	defer (*winner.Load()).Close()
	conn, err := socket.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestListenRefuses(t *testing.T) {
	tests := []struct {
		name string
		path func(d string) string
		code task.Code
		want string
	}{
		{"relative", func(string) string { return "x.sock" }, task.InvalidArgument, "absolute"},
		{"too long", func(d string) string { return filepath.Join(d, strings.Repeat("x", socket.MaxPath-len(d))) }, task.InvalidArgument, "the limit is"},
		{"a file", func(d string) string {
			os.WriteFile(d+"/f", []byte("precious"), 0o600)
			return d + "/f"
		}, task.FailedPrecondition, "something else"},
		{"folder is a file", func(d string) string {
			os.WriteFile(d+"/f", nil, 0o600)
			return d + "/f/s"
		}, task.FailedPrecondition, "folder"},
		{"folder others can write to", func(d string) string {
			os.Mkdir(d+"/w", 0o700)
			os.Chmod(d+"/w", 0o770)
			return d + "/w/s"
		}, task.PermissionDenied, "other users"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.path(dir(t))
			l, err := socket.Listen(path)
			if !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.want) || task.AsError(err).Hint == "" {
				t.Errorf("%v %v, want %s with %q and a hint", l, err, tt.code, tt.want)
			}
		})
	}
}

// TestLongestPath: one that fits in all its length, temporary name included.
func TestLongestPath(t *testing.T) {
	d := dir(t)
	path := filepath.Join(d, strings.Repeat("x", socket.MaxPath-len(d)-1))
	if len(path) != socket.MaxPath {
		t.Fatal(len(path))
	}
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := socket.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestPeer(t *testing.T) {
	path := filepath.Join(dir(t), "s")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := socket.Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for _, c := range []net.Conn{conn, accepted} {
		who, err := socket.Peer(c)
		if err != nil || who.UID != os.Getuid() || who.PID != os.Getpid() {
			t.Errorf("%+v %v", who, err)
		}
	}
}

// TestPeerOfTCP: what the kernel does not vouch for is nobody.
func TestPeerOfTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if who, err := socket.Peer(conn); !errors.Is(err, task.Unauthenticated) || who.UID != -1 {
		t.Errorf("%+v %v, want unauthenticated", who, err)
	}
	pipe, other := net.Pipe()
	defer other.Close()
	defer pipe.Close()
	if who, err := socket.Peer(pipe); !errors.Is(err, task.Unauthenticated) || who.UID != -1 {
		t.Errorf("%+v %v, want unauthenticated", who, err)
	}
}

func TestDialRefuses(t *testing.T) {
	d := dir(t)
	os.WriteFile(d+"/file", nil, 0o600)
	if _, err := socket.Dial(context.Background(), d+"/file"); !errors.Is(err, task.FailedPrecondition) || socket.Absent(err) {
		t.Errorf("a file: %v", err)
	}
	if _, err := socket.Dial(context.Background(), d+"/none"); !socket.Absent(err) {
		t.Errorf("nothing: %v, want absent", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(dir(t), "lock")
	first, err := socket.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := socket.TryLock(path); !errors.Is(err, socket.ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	if err := first.Unlock(); err != nil {
		t.Error(err)
	}
	again, err := socket.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
	if _, err := socket.TryLock(path + "/no/such"); err == nil || errors.Is(err, socket.ErrLocked) {
		t.Errorf("no folder: %v", err)
	}
}

// TestLockThatIsNotThere: to ask for it makes none, and neither does a link that somebody has put there.
func TestLockThatIsNotThere(t *testing.T) {
	d := dir(t)
	if _, err := socket.TryExisting(d + "/lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want that there is none", err)
	}
	if err := os.Symlink(d+"/lock", d+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.TryLock(d + "/link"); err == nil || errors.Is(err, socket.ErrLocked) {
		t.Errorf("by a link: %v", err)
	}
	if _, err := os.Lstat(d + "/lock"); err == nil {
		t.Error("it was made")
	}
	lock, err := socket.TryLock(d + "/lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if _, err := socket.TryExisting(d + "/lock"); !errors.Is(err, socket.ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
}
