package cgrouptest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"durable/ipc/polltest"
)

// patience bounds the wait for what must end; only a hanging test meets it.
const patience = time.Minute

var serial atomic.Int64

// New returns the folder of a new control group, which is marked as one that was handed over. At the end of the test all that runs in it is
// killed, and it is removed. Where there can be none the test is skipped; with DURABLE_TEST_ALL=1 nothing may be left out.
func New(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "the user is not root")
	}
	name := fmt.Sprintf("durable-test-%d-%d", os.Getpid(), serial.Add(1))
	dir, err := "", error(nil)
	for _, mount := range mounts() {
		dir = filepath.Join(mount, name)
		if err = os.Mkdir(dir, 0o755); err == nil {
			break
		}
	}
	if dir == "" || err != nil { // none is mounted, or none that can be written to
		mount := t.TempDir()
		if err := unix.Mount("cgroup2", mount, "cgroup2", 0, ""); err != nil {
			skip(t, "mount cgroup2: "+err.Error())
		}
		t.Cleanup(func() { _ = unix.Unmount(mount, unix.MNT_DETACH) })
		dir = filepath.Join(mount, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			skip(t, err.Error())
		}
	}
	t.Cleanup(func() { remove(t, dir) })
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		skip(t, "the kernel is older than 5.14")
	}
	if err := unix.Setxattr(dir, "user.delegate", []byte("1"), 0); err != nil {
		if err := unix.Setxattr(dir, "trusted.delegate", []byte("1"), 0); err != nil {
			skip(t, "mark "+dir+": "+err.Error())
		}
	}
	return dir
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("DURABLE_TEST_ALL") == "1" {
		t.Fatalf("no control group of version 2 can be made: %s", why)
	}
	t.Skipf("left out: no control group of version 2 can be made: %s", why)
}

// mounts returns where cgroup2 is mounted.
func mounts() (dirs []string) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 2 && f[2] == "cgroup2" {
			dirs = append(dirs, f[1])
		}
	}
	return dirs
}

func remove(t testing.TB, dir string) {
	t.Helper()
	_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	polltest.Until(t, patience, func() error {
		if err := rmdir(dir); err != nil {
			return fmt.Errorf("remove the control group: %w", err)
		}
		return nil
	})
}

func rmdir(dir string) error {
	for _, sub := range Groups(dir) {
		if err := rmdir(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	return unix.Rmdir(dir)
}

// Groups names the groups in dir.
func Groups(dir string) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
