package holder

import (
	"time"

	"durable/daemon/logfile"
	"durable/daemon/shim/protocol"
)

const (
	// coalesce is how long after a write the files are looked at: a program that writes all the time costs 50 looks a
	// second, however fast it is.
	coalesce = 20 * time.Millisecond
	// lookMax is the pause between two looks where nothing tells us of writes, once nothing has been written for a while.
	lookMax = time.Second
)

// logs has the program's output looked after.
type logs struct {
	keepers [2]*logfile.Keeper
	notify  notifier
	timer   *time.Timer
	pause   time.Duration // to the next look, where there is no notifier
}

func watchLogs(limit int64) *logs {
	l := &logs{notify: newNotifier(), timer: time.NewTimer(coalesce), pause: coalesce}
	for i, name := range []string{protocol.FileStdout, protocol.FileStderr} {
		l.keepers[i] = logfile.NewKeeper(name, limit)
	}
	return l
}

// wake has the files looked at soon.
func (l *logs) wake() { l.timer.Reset(coalesce) }

// check looks after the files, and sees to it that it is called again: by the notifier, or in a while.
func (l *logs) check() {
	armed := l.notify.arm() // before the look: what is written after it wakes us
	grew := l.look()
	if armed {
		if grew { // what was written last has no mark yet
			l.timer.Reset(logfile.MarkInterval)
		}
		return
	}
	if l.pause = min(2*l.pause, lookMax); grew {
		l.pause = coalesce
	}
	l.timer.Reset(l.pause)
}

// finish marks all that was written: the program has ended.
func (l *logs) finish() {
	now := time.Now()
	for _, k := range l.keepers {
		_ = k.Finish(now) // as in look
	}
}

func (l *logs) look() (grew bool) {
	now := time.Now()
	for _, k := range l.keepers {
		more, _ := k.Check(now) // a disk that is full: the program goes on, and so do we
		grew = grew || more
	}
	return grew
}
