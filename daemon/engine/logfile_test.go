package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/logfile"
)

// TestLogKeepsHeadAndTail: a job that says too much keeps its first and its last words.
func TestLogKeepsHeadAndTail(t *testing.T) {
	const limit = logfile.MinLimit
	path := filepath.Join(t.TempDir(), "1", "log")
	l := limitedLogFile(path, limit)
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 20 * limit / len(line) {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := l.Write([]byte("last words\n")); err != nil {
		t.Fatal(err)
	}
	l.close(false)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	hole, err := logfile.ReadHole(path)
	if got := logfile.Allocated(info); err != nil || hole.Empty() || got > limit+limit/2 || info.Size() < 19*limit {
		t.Errorf("%d bytes long, %d on disk, hole %+v, %v", info.Size(), got, hole, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(b, line) || !bytes.HasSuffix(b, []byte("last words\n")) {
		t.Errorf("head or tail is not there: %v", err)
	}
	if times, err := os.ReadFile(path + logfile.TimesSuffix); err != nil || len(times) == 0 {
		t.Errorf("no times: %v", err)
	}
}

// TestLogSaysWhatItLacks: a disk that is full for a while costs lines, and the log says so.
func TestLogSaysWhatItLacks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "1", "log")
	l := newLogFile(path)
	if _, err := l.Write([]byte("half a li")); err != nil {
		t.Fatal(err)
	}
	working := l.f
	broken, err := os.Open(path) // for reading: each write fails
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	l.f = broken
	for range 3 {
		if n, err := l.Write([]byte("lost\n")); n != 5 || err != nil {
			t.Errorf("write of a lost line: %d, %v", n, err)
		}
	}
	l.f = working
	if _, err := l.Write([]byte("again\n")); err != nil {
		t.Fatal(err)
	}
	l.close(false)
	b, err := os.ReadFile(path)
	want := "half a li\n--- 15 bytes left out here: bad file descriptor ---\nagain\n"
	if err != nil || string(b) != want {
		t.Errorf("log %q, %v; want %q", b, err, want)
	}
}
