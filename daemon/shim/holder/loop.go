package holder

import (
	"errors"
	"os"
	"time"

	"durable/daemon/shim/protocol"
)

const (
	// rewrite is how long a disk that is full is left in peace.
	rewrite = 200 * time.Millisecond
	// A tree that is being killed is looked at again after killPause, more rarely with each turn: something that
	// cannot die (a process in the kernel, or of another user) must not cost a processor.
	killPause, killPauseMax = 2 * time.Millisecond, time.Second
)

// loop runs until the program and what it has left behind have ended. It sleeps until something happens.
func (h *holder) loop() {
	timer, noting := time.NewTimer(0), time.NewTimer(noteAfter)
	defer timer.Stop()
	for {
		select {
		case <-noting.C:
			h.note()
		case <-h.signals.child:
		case c := <-h.control:
			h.obey(c)
		case <-h.signals.written:
			h.logs.wake()
		case <-h.logs.timer.C:
			h.logs.check()
		case <-timer.C:
		}
		next, done := h.step(time.Now())
		if done {
			h.logs.finish()
			h.tree.leave(h.spec.KeepChildren)
			return
		}
		if next > 0 {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
	}
}

// obey does what the daemon says. Everything may be said again.
func (h *holder) obey(c protocol.Command) {
	if !c.Stop {
		h.feeder.news()
		return
	}
	h.stop(time.Now().Add(c.Grace))
}

// stop begins to end the tree; a second one can only make it happen sooner.
func (h *holder) stop(killAt time.Time) {
	if h.stopping {
		if killAt.Before(h.killAt) {
			h.killAt = killAt
		}
		return
	}
	h.stopping, h.killAt = true, killAt
	if time.Now().Before(killAt) {
		h.tree.terminate()
	}
}

// step does what is due, and returns when it wants to be called again at the latest (0: when something happens), and
// whether all is over.
func (h *holder) step(now time.Time) (next time.Duration, done bool) {
	empty := h.tree.reap(h)
	if h.ended && !h.written {
		h.note()
		h.logs.finish() // the last marks are there before anybody hears of the end
		h.pause(protocol.PauseExit)
		err := protocol.Write(here, protocol.FileExit, h.exit.Append(), true)
		h.written = err == nil || errors.Is(err, os.ErrNotExist) // the folder was removed: there is nobody to tell
	}
	leave := empty || h.spec.KeepChildren && !h.stopping
	switch {
	case h.ended && leave:
		return rewrite, h.written // the end must not be lost while we live
	case h.ended && !h.stopping:
		h.stop(now.Add(h.spec.Grace))
	}
	if h.stopping {
		next = h.end(now)
	}
	if h.ended && !h.written {
		next = min(next, rewrite)
	}
	if h.ended && treePoll > 0 {
		next = min(next, treePoll)
	}
	return next, false
}

// end kills what is left of a tree whose time is over.
func (h *holder) end(now time.Time) time.Duration {
	if wait := h.killAt.Sub(now); wait > 0 {
		return wait
	}
	if wait := h.again.Sub(now); wait > 0 {
		return wait
	}
	underWay := h.tree.kill(h.kills)
	h.kills++
	next := min(killPause<<min(h.kills/8, 10), killPauseMax)
	if underWay {
		h.again = now.Add(next)
	}
	return next
}
