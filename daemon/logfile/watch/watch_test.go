package watch

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newWatcher(t *testing.T) (*Watcher, *bytes.Buffer) {
	var log bytes.Buffer
	w := New(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(w.Close)
	return w, &log
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, changed <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatalf("%s: nothing was told", what)
	}
}

// quiet waits until nothing comes any more, and empties the channel.
func quiet(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
			return
		}
	}
}

func TestTellsEveryWatcherOfTheFolderOnly(t *testing.T) {
	w, log := newWatcher(t)
	dir, other := t.TempDir(), t.TempDir()
	a, stopA := w.Watch(dir)
	b, stopB := w.Watch(dir + "/")
	c, stopC := w.Watch(other)
	defer stopC()
	write(t, dir, "stdout")
	await(t, a, "first watcher")
	await(t, b, "second watcher")
	stopA()
	stopA()  // does nothing
	select { // what was told before that
	case <-a:
	default:
	}
	write(t, dir, "stdout")
	await(t, b, "who is left")
	stopB()
	select {
	case <-a:
		t.Error("told after stop")
	case <-c:
		t.Error("told of another folder")
	default:
	}
	// Again, from nothing.
	a, stopA = w.Watch(dir)
	defer stopA()
	write(t, dir, "stderr")
	await(t, a, "watched again")
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

func TestTimerWhereThereIsNoWatch(t *testing.T) {
	w, log := newWatcher(t)
	w.add = func(string) error { return errors.New("no space left on device") }
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		changed, stop := w.Watch(dir)
		await(t, changed, "a timer")
		stop()
	}
	if n := strings.Count(log.String(), "no watch for a folder"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, log)
	}
	w.add = w.addLocked
	changed, stop := w.Watch(dirs[0])
	defer stop()
	write(t, dirs[0], "x")
	await(t, changed, "a real watch again")
}

func TestAFloodIsFewNotices(t *testing.T) {
	w, _ := newWatcher(t)
	dir := t.TempDir()
	changed, stop := w.Watch(dir)
	defer stop()
	notices := make(chan int)
	done := make(chan struct{})
	go func() {
		n := 0
		for {
			select {
			case <-changed:
				n++
			case <-done:
				notices <- n
				return
			}
		}
	}()
	var files []*os.File
	for i := range 2 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	began := time.Now()
	for i := range 100_000 {
		if _, err := files[i%2].WriteString("x"); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	quiet(changed)
	close(done)
	n := <-notices
	t.Logf("%d notices in %s", n, took)
	if limit := int(took/pace) + 300; n < 1 || n > limit {
		t.Errorf("%d notices in %s, want at most %d", n, took, limit)
	}
}

func TestClose(t *testing.T) {
	w := New(nil)
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				_, stop := w.Watch(dir)
				write(t, dir, "x")
				stop()
			}
		})
	}
	_, stop := w.Watch(dir)
	write(t, dir, "y")
	w.Close()
	stop()
	group.Wait()
	w.Close()
	if _, stop := w.Watch(dir); stop == nil {
		t.Error("no stop from a closed watcher")
	}
}

func TestFolderThatGoes(t *testing.T) {
	w, _ := newWatcher(t)
	dir := filepath.Join(t.TempDir(), "1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	changed, stop := w.Watch(dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	await(t, changed, "removed")
	stop()
	none, stop := w.Watch(dir)
	await(t, none, "a folder that is not there")
	stop()
}
