// Package watch tells when something changes in a folder, for those who follow a program's output.
//
// # Design
//
// One watcher serves the whole daemon: of inotify instances a user has 128, and of watches a limit too. It uses none of
// them until a folder is watched, so that an idle daemon costs nothing. Who watches the same folder shares its watch.
// Where the system gives no watch, a timer takes its place: followers are slower then, and nobody is refused. Polling
// for everybody was rejected: a hundred followers would cost the idle daemon's whole budget of CPU.
//
// A program that floods its log makes an event of each write. They are taken off the queue in heaps, with a pause
// after each: the kernel merges what is equal in the meantime. Where that goes on, the watch is taken away between two looks, since
// the program itself pays for its events. Rejected: one-shot watches for all, two more system calls for each line that somebody prints.
package watch

import (
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pace is the least time between two notices.
	pace = 2 * time.Millisecond
	// queue is how many events are taken at once.
	queue = 4096
	// tick is the time between two notices where there is no watch.
	tick = 250 * time.Millisecond
	// lazyEvents: Windows tells of a write to a file only once it has got round to updating the folder.
	lazyEvents = runtime.GOOS == "windows"
)

// Watcher watches folders. Its methods may be called from any goroutine.
type Watcher struct {
	log *slog.Logger
	add func(dir string) error // adds a watch; tests put another one here

	// adding is held while watches are added and removed. It comes before mu. What takes events never takes it: some
	// systems add a watch only when their events are taken.
	adding  sync.Mutex
	system  *fsnotify.Watcher // nil until the first watch
	watched map[string]*folder
	told    bool

	mu      sync.Mutex
	clock   clock
	folders map[string]*folder
	closed  bool

	group  sync.WaitGroup
	rested atomic.Int64 // how often a folder was, for tests
}

// folder is what is known of one that is watched.
type folder struct {
	watchers map[chan struct{}]struct{}
	gone     chan struct{} // closed when nobody watches it any more

	told    time.Duration // the last notice, or the end of the last rest, by the listener's clock
	notices int           // without a break
	resting bool
}

// New returns a watcher; nil for log is silence. Close it at the end.
func New(log *slog.Logger) *Watcher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{log: log, watched: map[string]*folder{}, folders: map[string]*folder{}}
	w.add = w.addLocked
	return w
}

// Watch returns a channel that gets a value soon after anything has changed in dir: a file there written, made, renamed,
// removed. Several changes may be one value. What changes after Watch has returned is told; what changed before may be.
// stop ends that and may be called again. The folder has to exist, or the value comes four times a second
// whether there is news or not.
func (w *Watcher) Watch(dir string) (changed <-chan struct{}, stop func()) {
	dir = filepath.Clean(dir)
	c := make(chan struct{}, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return c, func() {}
	}
	f := w.folders[dir]
	if f == nil {
		f = &folder{watchers: map[chan struct{}]struct{}{}, gone: make(chan struct{})}
		w.folders[dir] = f
	}
	f.watchers[c] = struct{}{}
	w.mu.Unlock()
	w.settle(dir)
	return c, sync.OnceFunc(func() { w.leave(dir, f, c) })
}

func (w *Watcher) leave(dir string, f *folder, c chan struct{}) {
	w.mu.Lock()
	delete(f.watchers, c)
	last := len(f.watchers) == 0 && w.folders[dir] == f
	if last {
		delete(w.folders, dir)
		close(f.gone)
	}
	w.mu.Unlock()
	if last {
		w.settle(dir)
	}
}

// settle makes the system watch dir if somebody here does, and only then.
func (w *Watcher) settle(dir string) {
	w.adding.Lock()
	defer w.adding.Unlock()
	w.mu.Lock()
	f, closed := w.folders[dir], w.closed
	w.mu.Unlock()
	switch {
	case closed:
	case f != nil && w.watched[dir] != f:
		err := w.add(dir)
		w.watched[dir] = f
		if err != nil && !w.told {
			w.told = true
			w.log.Warn("no watch for a folder: looking every "+tick.String()+" instead; "+
				"more of them: sysctl fs.inotify.max_user_watches, max_user_instances", "folder", dir, "error", err)
		}
		if err != nil || lazyEvents {
			w.tickLocked(dir, f)
		}
	case f == nil && w.watched[dir] != nil:
		delete(w.watched, dir)
		if w.system != nil {
			_ = w.system.Remove(dir) // it may be gone with its folder, or never have been
		}
	}
}

// addLocked asks the system for a watch. w.adding is held.
func (w *Watcher) addLocked(dir string) error {
	if w.system == nil {
		system, err := fsnotify.NewBufferedWatcher(queue)
		if err != nil {
			return err
		}
		w.system = system
		w.group.Go(func() { w.listen(system) })
	}
	return w.system.Add(dir)
}

// tickLocked tells of f every tick until nobody watches it any more. w.adding is held.
func (w *Watcher) tickLocked(dir string, f *folder) {
	w.group.Go(func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				w.tell(map[string]bool{dir: true})
			case <-f.gone:
				return
			}
		}
	})
}

// listen passes on what the system tells, until it is closed.
func (w *Watcher) listen(system *fsnotify.Watcher) {
	dirty := map[string]bool{}
	for {
		w.keep((*clock).wait)
		select {
		case ev, ok := <-system.Events:
			if !ok {
				return
			}
			w.keep((*clock).look)
			note(dirty, ev)
			for range len(system.Events) {
				if ev, ok := <-system.Events; ok {
					note(dirty, ev)
				}
			}
			w.tell(dirty)
			w.tire(dirty)
		case _, ok := <-system.Errors: // events were lost: there may be news everywhere
			if !ok {
				return
			}
			w.keep((*clock).look)
			w.tell(nil)
		}
		clear(dirty)
		time.Sleep(pace)
	}
}

func (w *Watcher) keep(step func(*clock)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	step(&w.clock)
}

// note adds the folders that ev can be about: the file's, or the one that is itself meant.
func note(dirty map[string]bool, ev fsnotify.Event) {
	dirty[filepath.Dir(ev.Name)] = true
	dirty[ev.Name] = true
}

// tell puts a value in the channels of those who watch one of dirs; nil is all.
func (w *Watcher) tell(dirs map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir, f := range w.folders {
		if dirs != nil && !dirs[dir] {
			continue
		}
		for c := range f.watchers {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// Close ends all watches. Channels that Watch returned get no more values.
func (w *Watcher) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		for dir, f := range w.folders {
			delete(w.folders, dir)
			close(f.gone)
		}
	}
	w.mu.Unlock()
	w.adding.Lock()
	system := w.system
	w.system = nil
	w.adding.Unlock()
	if system != nil {
		_ = system.Close()
	}
	w.group.Wait()
}
