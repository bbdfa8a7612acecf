package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

const (
	childTmpfs = "tmpfs"
	childLimit = "limit"
)

func init() {
	children[childTmpfs] = fillTmpfs
	children[childLimit] = hitFileLimit
}

// TestTmpfsFull fills a real disk: a small tmpfs in a mount namespace of the child's own.
func TestTmpfsFull(t *testing.T) {
	cmd := command(childTmpfs, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Logf("this kernel lets nobody mount a tmpfs (%v): TestDiskFull alone has to do", err)
		return
	}
	if err != nil || !strings.Contains(string(out), "survived") {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

// fillTmpfs submits until the disk is full, cancels what there is, makes room, and goes on.
func fillTmpfs() error {
	dir := os.Getenv(dirEnv)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m,mode=0700"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		return err
	}
	now := time.Now()
	o := Options{Dir: dir, Reserve: 1 << 20, Now: func() time.Time { return now }}
	s, err := Open(o)
	if err != nil {
		return err
	}
	var acked []task.ID
	for {
		rec, err := createLarge(s)
		if errors.Is(err, task.ResourceExhausted) {
			break
		}
		if err != nil {
			return fmt.Errorf("task %d: %w", len(acked), err)
		}
		acked = append(acked, rec.Task.ID)
	}
	for _, id := range acked {
		if err := s.Update(context.Background(), Essential, func(tx *Tx) error { return cancel(tx, id) }); err != nil {
			return fmt.Errorf("cancel on a full disk: %w", err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	now = now.Add(2 * reopenEvery)
	rec, err := createLarge(s)
	if err != nil || s.Full() {
		return fmt.Errorf("with room again: %w, full %v", err, s.Full())
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(o); err != nil {
		return err
	}
	defer s.Close()
	err = s.View(func(tx *Tx) error {
		for _, id := range acked {
			if got, err := tx.Task(id); err != nil || got.Task.Status != task.StatusCancelled {
				return fmt.Errorf("task %s: %+v, %w", id, got, err)
			}
		}
		_, err := tx.Task(rec.Task.ID)
		return err
	})
	fmt.Printf("survived: %d tasks submitted before the disk was full, all cancelled while it was\n", len(acked))
	return err
}

func createLarge(s *Store) (Record, error) {
	var rec Record
	err := s.Update(context.Background(), Admission, func(tx *Tx) error {
		rec = noop()
		rec.Task.Params = []byte(`"` + strings.Repeat("x", 8<<10) + `"`)
		return tx.Create(&rec)
	})
	return rec, err
}

func cancel(tx *Tx, id task.ID) error {
	rec, err := tx.Task(id)
	if err != nil {
		return err
	}
	rec.Task.Status, rec.Task.Phase, rec.Task.CompletedAt = task.StatusCancelled, task.PhaseNone, &tx.now
	return tx.Put(rec, task.EventStatus)
}

// TestFileLimit: an error of the kernel that is not about space fails the store.
func TestFileLimit(t *testing.T) {
	dir := t.TempDir()
	out, err := command(childLimit, dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := openTest(t, Options{Dir: dir})
	if n := countTasks(t, s); fmt.Sprintf("failed after %d\n", n) != string(out) {
		t.Errorf("child: %s; %d tasks are there", out, n)
	}
}

func hitFileLimit() error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(Options{Dir: os.Getenv(dirEnv)})
	if err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 5 << 20, Max: 5 << 20}); err != nil {
		return err
	}
	for n := 0; n < 10_000; n++ {
		_, err := createLarge(s)
		if err == nil {
			continue
		}
		if s.Err() == nil || task.AsError(err).Details[task.DetailOutcome] != "unknown" {
			return fmt.Errorf("task %d: %w, failed: %v", n, err, s.Err())
		}
		fmt.Printf("failed after %d\n", n)
		return s.Close()
	}
	return errors.New("no limit was hit")
}

// TestOpenDenied: folders and files that this user may not write to.
func TestOpenDenied(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string){
		"folder": func(t *testing.T, dir string) { mode(t, dir, 0o500) },
		"file":   func(t *testing.T, dir string) { mode(t, filepath.Join(dir, storeFile), 0o400) },
		"marker": func(t *testing.T, dir string) { mode(t, filepath.Join(dir, markerFile), 0) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name != "folder" {
				dir = madeStore(t, 1, true)
			}
			spoil(t, dir)
			before := contents(t, dir)
			var err error
			asNobody(func() {
				var s *Store
				if s, err = Open(Options{Dir: dir}); err == nil {
					_ = s.Close()
				}
			})
			if te := task.AsError(err); te == nil || te.Code != task.PermissionDenied || te.Hint == "" {
				t.Errorf("open: %v", err)
			}
			if after := contents(t, dir); after != before {
				t.Errorf("files changed from %s to %s", before, after)
			}
		})
	}
}

// TestOpenForeign: a folder of another user is not taken over, not even by root.
func TestOpenForeign(t *testing.T) {
	if err := prepareDir("/proc/1"); os.Geteuid() != 0 && !errors.Is(err, task.PermissionDenied) {
		t.Errorf("a folder of root: %v", err)
	}
	if os.Geteuid() != 0 {
		return // only root can make another one
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 4242, -1); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	if te := task.AsError(err); te == nil || te.Code != task.PermissionDenied || !strings.Contains(te.Message, "4242") {
		t.Errorf("open: %v", err)
	}
}

func mode(t *testing.T, path string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
}

// asNobody runs fn on a thread that has lost root's way with files. The thread is not used again.
func asNobody(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			_ = unix.Setfsuid(65534)
		}
		fn()
	}()
	<-done
}

func TestNetworkFS(t *testing.T) {
	if name, err := networkName(t.TempDir()); name != "" || err != nil {
		t.Errorf("a local folder: %q, %v", name, err)
	}
	for magic, want := range map[uint32]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0x517b: "SMB", 0x01021997: "9p"} {
		if got := networkFS[magic]; got != want {
			t.Errorf("magic %x: %q, want %q", magic, got, want)
		}
	}
}
