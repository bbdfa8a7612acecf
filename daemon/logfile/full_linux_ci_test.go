//go:build linux && ci

package logfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestCIFullDisk: on a disk that is full the keeper says so once, harms nobody, and goes on when there is space again.
func TestCIFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs (as root): %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "stdout")
	const limit = 512 << 10
	k := NewKeeper(path, limit)
	now := time.Now()
	appendTo(t, path, pattern(0, limit))
	check(t, k, now)
	size := int64(limit)

	out, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for err == nil { // the program fills the disk before its keeper looks
		var n int
		n, err = out.Write(pattern(size, 4096))
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	said := 0
	for range 5 {
		now = now.Add(MarkInterval)
		if _, err := k.Check(now); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("error %v, want no space", err)
			}
			said++
		}
	}
	if said > 2 {
		t.Errorf("said %d times that the disk is full", said)
	}
	// A page is enough for the record of the hole, and then the hole makes room. Here only the log itself can give one.
	if h, _ := ReadHole(path); h.Empty() {
		if err := os.Truncate(path, size-64<<10); err != nil {
			t.Fatal(err)
		}
		size -= 64 << 10
	}
	now = now.Add(MarkInterval)
	if _, err := k.Check(now); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := k.Finish(now); err != nil {
		t.Error(err)
	}
	if got := allocated(t, path); got > limit+limit/4+block {
		t.Errorf("the log takes %d bytes", got)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, _ := ReadHole(path)
	if b := readSection(t, f, h.To, size); string(b) != string(pattern(h.To, size-h.To)) {
		t.Error("the tail is not what was written")
	}
}
