//go:build ci

// A real session bus.

package notify

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// server is the desktop's side: what org.freedesktop.Notifications is to a real one.
type server struct {
	can   []string
	hangs chan struct{}
	got   chan shown
}

type shown struct {
	App, Title, Body string
	Expires          int32
}

func (s *server) GetCapabilities() ([]string, *dbus.Error) {
	if s.hangs != nil {
		<-s.hangs
	}
	return s.can, nil
}

func (s *server) Notify(app string, _ uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	s.got <- shown{app, title, body, expires}
	return 1, nil
}

// sessionBus starts a bus for the test, and points the environment at it.
func sessionBus(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Fatal("dbus-daemon is not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "bus") // short: the path of a socket is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(program, "--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address", "--address=unix:path="+filepath.Join(dir, "bus"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("dbus-daemon: %v", err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
}

func (s *server) serve(t *testing.T) {
	t.Helper()
	bus, err := dbus.Connect(os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	if err := bus.Export(s, serverPath, serverName); err != nil {
		t.Fatal(err)
	}
	if reply, err := bus.RequestName(serverName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("%v, %v", reply, err)
	}
}

// TestCIDesktop: over a real bus, to a server that reads markup and to one that does not.
func TestCIDesktop(t *testing.T) {
	sessionBus(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	note := Note{Title: "Failed: a <b> & c", Body: "Task 1, after 1h0m0s: <b> & c", Failed: true}
	if err := Desktop(ctx, note); err == nil {
		t.Fatal("without a desktop nothing is shown, and that is said")
	}
	for name, tt := range map[string]struct {
		can  []string
		body string
	}{
		"markup": {[]string{"body", "body-markup"}, "Task 1, after 1h0m0s: &lt;b&gt; &amp; c"},
		"plain":  {[]string{"body"}, note.Body},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{can: tt.can, got: make(chan shown, 1)}
			s.serve(t)
			if err := Desktop(ctx, note); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(shown{"durable", note.Title, tt.body, -1}, <-s.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestADesktopThatDoesNotAnswer is waited for as long as the context allows, and leaves nothing behind.
func TestCIADesktopThatDoesNotAnswer(t *testing.T) {
	sessionBus(t)
	s := &server{hangs: make(chan struct{}), got: make(chan shown, 1)}
	s.serve(t)
	defer close(s.hangs)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Desktop(ctx, Note{Title: "a"}); err == nil {
		t.Error("shown by nobody")
	}
}

func TestCIBusAddress(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	with, without := filepath.Join(dir, "with"), filepath.Join(dir, "without")
	for _, d := range []string{with, without} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(with, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(filepath.Join(without, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"said", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "XDG_RUNTIME_DIR": with}, "unix:path=/x"},
		{"a bus that would have to be started", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "autolaunch:", "XDG_RUNTIME_DIR": with}, "unix:path=" + with + "/bus"},
		{"the user's folder", map[string]string{"XDG_RUNTIME_DIR": with}, "unix:path=" + with + "/bus"},
		{"no bus", map[string]string{"XDG_RUNTIME_DIR": dir}, ""},
		{"a file", map[string]string{"XDG_RUNTIME_DIR": without}, ""},
		{"a user who is not logged in", nil, ""},
	} {
		if got := busAddress(func(name string) string { return tt.env[name] }, 999999); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
