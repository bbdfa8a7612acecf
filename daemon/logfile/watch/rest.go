package watch

import (
	"runtime"
	"time"
)

// The kernel makes an event of each write, at the expense of the program that writes: one that pours 4 KiB at a time into its log was
// slowed down by a fifth. So a folder that is told of without a break is left alone for a moment, its watch removed.
const (
	// rest is that moment: at most so much later is a follower told of a flood.
	rest = 16 * time.Millisecond
	// restAfter is the number of notices without a break that make a flood.
	restAfter = 8
	// lull between two notices is a break, by the listener's clock.
	lull = 3 * pace
	// rests: elsewhere a watch costs too much to be put back so often.
	rests = runtime.GOOS == "linux"
)

// clock is the listener's own time: what it has waited for events and paused, and not for how long others had the processors before it came
// to run again. By any other clock a flood would have breaks on a busy machine, just where its program can least afford to pay for events.
type clock struct {
	spent time.Duration
	from  time.Time // when it began to wait; zero: it does not
}

func (c *clock) now() time.Duration {
	if c.from.IsZero() {
		return c.spent
	}
	return c.spent + time.Since(c.from)
}

func (c *clock) wait() { c.from = time.Now() }

// look ends a wait. The pause that follows is counted with it.
func (c *clock) look() { c.spent, c.from = c.now()+pace, time.Time{} }

// tire counts what was just told of dirs, and has those rest that are flooded.
func (w *Watcher) tire(dirs map[string]bool) {
	if !rests {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir := range dirs {
		if f := w.folders[dir]; f != nil && f.flooded(w.clock.now()) {
			f.resting = true
			w.group.Go(func() { w.rest(dir, f) })
		}
	}
}

// flooded counts a notice. After a rest a single one without a break is enough for the next rest.
func (f *folder) flooded(now time.Duration) bool {
	if now-f.told > lull {
		f.notices = 0
	}
	f.told = now
	f.notices = min(f.notices+1, restAfter)
	return f.notices == restAfter && !f.resting
}

// rest takes the watch away for a moment. What changes meanwhile is told at its end.
func (w *Watcher) rest(dir string, f *folder) {
	w.adding.Lock()
	if w.watched[dir] == f && w.system != nil {
		_ = w.system.Remove(dir)
	}
	w.adding.Unlock()
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.gone:
		return
	}
	w.adding.Lock()
	if w.watched[dir] == f && w.system != nil {
		if err := w.add(dir); err != nil { // the folder has gone, or somebody else has taken the last watch
			w.tickLocked(dir, f)
		}
	}
	w.adding.Unlock()
	w.mu.Lock()
	f.resting, f.told = false, w.clock.now()
	w.mu.Unlock()
	w.tell(map[string]bool{dir: true})
	w.rested.Add(1)
}
