package holder

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestNotifier: one signal for the first write after it was armed, none for those that follow, none for a read.
func TestNotifier(t *testing.T) {
	t.Chdir(t.TempDir())
	written := make(chan os.Signal, 8)
	signal.Notify(written, syscall.SIGIO)
	defer signal.Stop(written)
	f, err := os.Create("stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	n := newNotifier()
	defer func() { _ = n.dir.Close() }()
	for round := range 3 {
		if !n.arm() {
			t.Fatal("not to be had")
		}
		if _, err := f.ReadAt(make([]byte, 1), 0); round == 0 && err == nil {
			t.Error("read something")
		}
		select {
		case <-written:
			t.Error("a signal before the write")
		case <-time.After(5 * time.Millisecond):
		}
		for range 10 {
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-written:
		case <-time.After(time.Minute):
			t.Fatal("no signal")
		}
		select {
		case <-written:
			t.Error("more than one signal")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
