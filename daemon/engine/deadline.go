package engine

import (
	"sync"
	"time"

	"durable/ipc/task"
)

// judgeGrace is how long Run of an adopted attempt may take to find out what became of the work before a timeout
// that has passed meanwhile ends it.
const judgeGrace = 5 * time.Second

// deadline ends an attempt whose timeout has passed. It counts from the attempt's beginning, whichever daemon saw
// that, by the wall clock, which goes on while the machine is suspended: timers do not, so it looks again at
// least every maxSleep.
//
// What an adopted attempt did while no daemon was there has ended in time or not, and nobody but Run can tell: a
// deadline in the past ends it once Run has said that the work still goes on (release), not before.
type deadline struct {
	end func() // set before start

	mu    sync.Mutex
	at    time.Time // by the wall clock
	held  time.Time // not before that; zero: at any time
	timer *time.Timer
	over  bool
}

// start begins to watch over an attempt of t.
func (d *deadline) start(t task.Task, adopted bool) {
	if t.Timeout <= 0 || t.StartedAt == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t.StartedAt.Add(time.Duration(t.Timeout))
	if adopted {
		d.held = time.Now().Add(judgeGrace)
	}
	d.timer = time.AfterFunc(d.wait(), d.look)
}

// release says that the work goes on.
func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil || d.over || d.held.IsZero() {
		return
	}
	d.held = time.Time{}
	d.timer.Reset(d.wait())
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.timer != nil {
		d.timer.Stop()
	}
}

// wait returns how long to sleep before the next look. Called with mu held.
func (d *deadline) wait() time.Duration {
	left := time.Until(d.at) // at has no monotonic reading: the wall clock counts
	if !d.held.IsZero() {
		left = max(left, time.Until(d.held))
	}
	return max(0, min(left, maxSleep))
}

func (d *deadline) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	if left := d.wait(); left > 0 {
		d.timer.Reset(left)
		return
	}
	d.over = true
	d.end()
}
