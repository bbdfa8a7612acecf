//go:build unix

package socket_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// otherUser is "nobody": only root can make a file of his, anybody else uses one of root's, which for
// Listen is another user's too.
const otherUser = 65534

// foreignSocket returns the path of a live socket that belongs to another user.
func foreignSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(dir(t), "s")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chown(path, otherUser, -1); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSocketOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: only what needs no chown")
		return
	}
	path := foreignSocket(t)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, task.PermissionDenied) || !strings.Contains(err.Error(), "another user (uid 65534)") || task.AsError(err).Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := socket.Dial(context.Background(), path)
	refused("dial", err)

	folder := dir(t)
	if err := os.Chown(folder, otherUser, -1); err != nil {
		t.Fatal(err)
	}
	_, err = socket.Listen(filepath.Join(folder, "s"))
	refused("listen in his folder", err)

	stale := filepath.Join(dir(t), "s")
	leaveStale(t, stale)
	if err := os.Chown(stale, otherUser, -1); err != nil {
		t.Fatal(err)
	}
	_, err = socket.Listen(stale)
	refused("listen over his socket", err)

	socket.SetSystemSocket(t, path)
	conn, err := socket.Dial(context.Background(), path)
	if err != nil {
		t.Fatalf("the system service's socket, whoever owns it: %v", err)
	}
	conn.Close()
}
