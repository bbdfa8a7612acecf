package holder

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// holdOff handles the signals that would end or stop us: what is handled is back in its default state in the program.
func holdOff() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE,
		unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
}

// treePoll: nobody tells us of the end of a process that is not our child.
const treePoll = 200 * time.Millisecond

// becomeSubreaper: there is no such thing here. What has left the program's process group and lost its parent is lost to us.
func becomeSubreaper() {}

// openGroup: there are no control groups.
func openGroup(protocol.Group) (protocol.Group, *os.File) { return protocol.Group{}, nil }

// into does nothing.
func into(*syscall.SysProcAttr, *os.File) bool { return false }

// left reports whether the tree still has processes, of which none is a child of ours.
func (t *tree) left() bool {
	members, err := proc.Tree{Root: os.Getpid(), Child: t.child}.Members()
	return err == nil && len(members) > 0
}

// notifier: none, the files are looked at from time to time.
type notifier struct{}

func newNotifier() notifier { return notifier{} }

func (notifier) arm() bool { return false }

func stopSelf() { _ = unix.Kill(os.Getpid(), unix.SIGSTOP) }
