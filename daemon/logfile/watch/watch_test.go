package watch

import (
	"bytes"
	"context"
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

// TestARestLosesNothing: a flooded folder rests, and the last write of a flood, whenever it comes, is told after it was made.
func TestARestLosesNothing(t *testing.T) {
	if !rests {
		return
	}
	w, _ := newWatcher(t)
	dir := t.TempDir()
	changed, stop := w.Watch(dir)
	defer stop()
	f, err := os.OpenFile(filepath.Join(dir, "stdout"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	seen := make(chan int64, 1) // the latest size that a follower has seen
	go follow(t.Context(), f, changed, seen)
	var wrote int64
	// Where others have the processors, a flood has breaks, and it takes more of them to a rest.
	for round, began := 0, time.Now(); round < 50 || w.rested.Load() == 0 && time.Since(began) < time.Minute; round++ {
		for end := time.Now().Add(40*time.Millisecond + time.Duration(round%50)*211*time.Microsecond); time.Now().Before(end); wrote++ {
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
		}
		for size := int64(0); size < wrote; {
			select {
			case size = <-seen:
			case <-time.After(time.Minute):
				t.Fatalf("round %d: what was written last was not told", round)
			}
		}
	}
	if w.rested.Load() == 0 {
		t.Error("the folder never rested")
	}
}

// follow looks at the file whenever there is news, and at no other time.
func follow(ctx context.Context, f *os.File, changed <-chan struct{}, seen chan int64) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		info, err := f.Stat()
		if err != nil {
			return
		}
		select {
		case <-seen: // an older one, which nobody has taken
		default:
		}
		seen <- info.Size()
	}
}

// TestAGoneFolderMayRest: one that is removed while it rests ends nothing, and its follower goes on being told.
func TestAGoneFolderMayRest(t *testing.T) {
	if !rests {
		return
	}
	w, _ := newWatcher(t)
	dir := filepath.Join(t.TempDir(), "task")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	changed, stop := w.Watch(dir)
	defer stop()
	for before := w.rested.Load(); w.rested.Load() == before; {
		write(t, dir, "stdout")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	quiet(changed)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop()
	again, stopAgain := w.Watch(dir)
	defer stopAgain()
	write(t, dir, "stdout")
	await(t, again, "the folder's successor")
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
