package install_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/install"
	"durable/ipc/socket"
)

// TestPackagedSocket: the unit in the Debian package is the one that service install writes, but for who looks after it.
func TestPackagedSocket(t *testing.T) {
	packaged, err := os.ReadFile("packaging/durable.socket")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := install.SocketUnit(socket.SystemPaths(), true)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(packaged), "\n")
	_, want, _ := strings.Cut(ours, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-install +package:\n%s", diff)
	}
}
