package store

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadAhead: a file that the kernel has dropped is in memory again.
func TestReadAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const size = 3*readChunk + 5000
	if err := writeSynced(path, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tells := cached(f, size) // an old kernel does not; there is then nothing to see
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	readAhead(f, size)
	if tells && !cached(f, size) {
		t.Error("it was not read")
	}
	readAhead(f, 2*size) // cut off: the walk will say so
}
