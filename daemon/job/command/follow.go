package command

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"durable/daemon/job/command/progress"
	"durable/daemon/shim/protocol"
)

// fileProgress is the file in which a program says itself how far it is.
const fileProgress = "progress"

// Limits of reading along. At followEvery and backlogMost no program makes the daemon read more than 2.5 MiB a second.
const (
	followEvery = 100 * time.Millisecond
	backlogMost = 256 << 10 // beyond that all but the end is left out
	backlogKept = 64 << 10
	lookEvery   = 500 * time.Millisecond // without a watcher
)

// follower reads along what a program writes and reports its progress.
type follower struct {
	a       *attempt
	watch   Watcher
	tracker *progress.Tracker
	offset  [3]int64
	first   bool
	buf     []byte

	once sync.Once
	quit chan struct{}
	done chan struct{} // closed when nobody else reads; nil: never started
}

func (a *attempt) follow(w Watcher) *follower {
	var pattern *progress.Pattern
	if a.o.Progress != "" {
		pattern, _ = progress.NewPattern(a.o.Progress) // checked by Prepare
	}
	if w == nil {
		w = clock{}
	}
	return &follower{a: a, watch: w, tracker: progress.New(pattern), first: true, quit: make(chan struct{})}
}

// start reads along until stop. It watches only while it waits: a program that floods its log makes as many events as
// writes, which cost the daemon half a core if somebody listens to them all (measured).
func (f *follower) start() {
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		for {
			changed, unwatch := f.watch.Watch(f.a.at.attempt)
			f.read() // what was there before the watch
			f.a.saved.look(false)
			select {
			case <-f.quit:
				unwatch()
				return
			case <-changed:
				unwatch()
			}
			if !f.pause() {
				return
			}
		}
	}()
}

// clock stands in for a watcher: it says twice a second that something may have changed.
type clock struct{}

func (clock) Watch(string) (<-chan struct{}, func()) {
	changed := make(chan struct{}, 1)
	timer := time.AfterFunc(lookEvery, func() { changed <- struct{}{} })
	return changed, func() { timer.Stop() }
}

// pause keeps reports apart; false: it is time to leave.
func (f *follower) pause() bool {
	timer := time.NewTimer(followEvery)
	defer timer.Stop()
	select {
	case <-f.quit:
		return false
	case <-timer.C:
		return true
	}
}

// stop waits until nobody reads any more.
func (f *follower) stop() {
	f.once.Do(func() { close(f.quit) })
	if f.done != nil {
		<-f.done
	}
}

// finish reads what is left, when no more comes, and makes the last report.
func (f *follower) finish() {
	f.stop()
	f.read()
	f.tracker.End()
	f.report()
}

var followed = [...]struct {
	source progress.Source
	file   string
}{
	{progress.Stdout, protocol.FileStdout}, {progress.Stderr, protocol.FileStderr}, {progress.File, fileProgress},
}

// read takes what is new and reports what is news.
func (f *follower) read() {
	if f.buf == nil {
		f.buf = make([]byte, backlogKept)
	}
	for i, from := range followed {
		f.readFile(i, from.source, from.file)
	}
	f.first = false
	f.report()
}

func (f *follower) report() {
	if p, news := f.tracker.Report(); news {
		f.a.j.Progress(p)
	}
}

// readFile takes what is new in a file. One that is not there yet, or cannot be read, has nothing to say: what
// becomes of the program does not depend on it.
func (f *follower) readFile(i int, source progress.Source, name string) {
	file, err := os.Open(filepath.Join(f.a.at.attempt, name))
	if err != nil {
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	size := info.Size()
	if behind := size - f.offset[i]; behind > backlogMost || f.first && behind > backlogKept {
		f.offset[i] = size - backlogKept
		f.tracker.Skip(source)
	}
	for f.offset[i] < size {
		n, err := file.ReadAt(f.buf[:min(int64(len(f.buf)), size-f.offset[i])], f.offset[i])
		f.tracker.Feed(source, f.buf[:n])
		f.offset[i] += int64(n)
		if err == io.EOF && n > 0 {
			continue
		}
		if err != nil || n == 0 {
			return
		}
	}
}
