package daemon

import (
	"context"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"durable/daemon/engine"
	"durable/ipc/task"
)

// What the service manager is told, in the words of sd_notify(3).
const (
	notifyReady    = systemd.SdNotifyReady
	notifyStopping = systemd.SdNotifyStopping + "\nSTATUS=leaving"
	notifyStatus   = "STATUS="
)

func reloading() string { return systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec() }

// statusPause is the least time between two lines of status.
const statusPause = time.Second

func (d *Daemon) notify(state string) {
	if d.cfg.Notify != nil {
		d.cfg.Notify(state)
	}
}

// changed notes that a line of status may be due. The committer calls it, and must not wait.
func (d *Daemon) changed() {
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// tellStatus keeps the service manager's line of status current: it is told after a change, once a second at most, and nothing
// wakes up while nothing changes.
func (d *Daemon) tellStatus(leave context.Context, eng *engine.Engine) error {
	if d.cfg.Notify == nil {
		return nil
	}
	said := ""
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-leave.Done():
			return nil
		case <-timer.C:
		}
		counts, err := eng.Counts()
		if line := status(counts); err == nil && line != said {
			said = line
			d.notify(notifyStatus + line)
		}
		timer.Reset(statusPause)
		select {
		case <-leave.Done():
			return nil
		case <-d.news:
		}
	}
}

func status(counts map[task.Status]int) string {
	return fmt.Sprintf("%d running, %d queued", counts[task.StatusRunning], counts[task.StatusPending])
}
