package shim_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"durable/daemon/shim"
)

// newSpare returns one that is empty, and is again at the end of the test.
func newSpare(t testing.TB) *shim.Spare {
	s := &shim.Spare{Dir: filepath.Join(t.TempDir(), "spare")}
	t.Cleanup(s.Close)
	return s
}

// spareHolders returns the processes that wait for a folder under the executable path.
func spareHolders(path string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && string(line) == path+"\x00-\x00" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// copyHolder makes an executable of its own, so that its processes can be told from others'.
func copyHolder(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(holderPath)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o700)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSpare: each start has a holder, whatever has become of the one that waited, and the one that waits is never of another build.
func TestSpare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "durable-shim")
	copyHolder(t, path)
	spare, ready := newSpare(t), make(chan struct{}, 1)
	run := func() int {
		b := newBed(t, "exit 3")
		b.l = shim.Launcher{Program: path, Spare: spare, Hook: func(point string) {
			if point == shim.PointSpare {
				ready <- struct{}{}
			}
		}}
		p := b.start()
		holder := b.holder().PID
		if e := b.wait(p); e.Code != 3 {
			t.Errorf("got %+v", e)
		}
		return holder
	}
	waits := func() int {
		<-ready
		pids := spareHolders(path)
		if len(pids) != 1 {
			t.Fatalf("holders %v wait, want one", pids)
		}
		return pids[0]
	}
	run()
	first := waits()
	if holder := run(); holder != first {
		t.Errorf("the holder is %d, and %d was ready", holder, first)
	}
	killed := waits()
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	run()
	old := waits()
	copyHolder(t, path)
	if holder := run(); holder == old {
		t.Error("the holder is of the old build")
	}
	last := waits()
	if slices.Contains(spareHolders(path), old) {
		t.Error("the one of the old build waits still")
	}
	spare.Close()
	if pids := spareHolders(path); len(pids) > 0 {
		t.Errorf("%v wait after the end; %d was the last", pids, last)
	}
	run() // without
}
