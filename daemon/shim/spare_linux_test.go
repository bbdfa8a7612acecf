package shim_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"durable/daemon/shim"
	"durable/ipc/polltest"
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

// oneSpare returns the one that waits. It may be in the middle of its exec, and have no arguments yet.
func oneSpare(t *testing.T, path string) int {
	t.Helper()
	var pids []int
	polltest.True(t, patience, "a holder waits", func() bool { pids = spareHolders(path); return len(pids) > 0 })
	if len(pids) != 1 {
		t.Fatalf("holders %v wait, want one", pids)
	}
	return pids[0]
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
		return oneSpare(t, path)
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

// TestFurnish: a folder is furnished and the holder that waits goes there before the start. A start elsewhere does without it, and each
// of them runs, also where that holder has died, or its folder was never started in.
func TestFurnish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "durable-shim")
	copyHolder(t, path)
	spare, ready := newSpare(t), make(chan struct{}, 8)
	spare.Patient(patience) // the test takes its time between a folder and its start
	l := shim.Launcher{Program: path, Spare: spare, Hook: func(point string) {
		if point == shim.PointSpare {
			ready <- struct{}{}
		}
	}}
	bedOf := func() *bed {
		b := newBed(t, "exit 3")
		b.l = l
		return b
	}
	furnished := func() (*bed, int) {
		b := bedOf()
		if err := os.Remove(b.dir); err != nil {
			t.Fatal(err)
		}
		holder := oneSpare(t, path)
		b.l.Furnish(b.dir)
		b.eventually("the holder is there", func() bool {
			cwd, _ := os.Readlink("/proc/" + strconv.Itoa(holder) + "/cwd")
			return cwd == b.dir
		})
		entries, err := os.ReadDir(b.dir)
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || info.Size() > 0 {
				t.Errorf("%s in a folder that nothing was started in: %v, %v", entry.Name(), info, err)
			}
		}
		if err != nil || len(entries) == 0 {
			t.Fatalf("%v, %v in a furnished folder", entries, err)
		}
		return b, holder
	}
	ends := func(b *bed) int {
		p := b.start()
		holder := b.holder().PID
		if e := b.wait(p); e.Code != 3 {
			t.Errorf("got %+v", e)
		}
		return holder
	}
	ends(bedOf())
	<-ready
	b, holder := furnished()
	other := bedOf()
	if got := ends(other); got == holder {
		t.Error("the holder of another folder was taken")
	}
	if got := ends(b); got != holder {
		t.Errorf("the holder is %d, and %d waited in the folder", got, holder)
	}
	<-ready
	b, holder = furnished()
	if err := syscall.Kill(holder, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.eventually("it has died", func() bool { return len(spareHolders(path)) == 0 }) // a zombie has no arguments
	ends(b)
	<-ready
	b, _ = furnished()
	spare.Close()
	if pids := spareHolders(path); len(pids) > 0 {
		t.Errorf("%v wait in a folder that nobody has started in", pids)
	}
	ends(b)
}

// TestFurnishInVain: a holder that was sent to a folder of which no start comes is in nobody's way for long.
func TestFurnishInVain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "durable-shim")
	copyHolder(t, path)
	ready := make(chan struct{}, 9)
	l := shim.Launcher{Program: path, Spare: newSpare(t), Hook: func(point string) {
		if point == shim.PointSpare {
			ready <- struct{}{}
		}
	}}
	run := func() {
		b := newBed(t, "exit 3")
		b.l = l
		b.wait(b.start())
	}
	run()
	<-ready
	dir := filepath.Join(t.TempDir(), "id", "1")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	l.Furnish(dir)
	// Half of what a spare waits that was sent nowhere.
	polltest.True(t, 30*time.Second, "the holder has ended", func() bool { return len(spareHolders(path)) == 0 })
	run()
	<-ready
}
