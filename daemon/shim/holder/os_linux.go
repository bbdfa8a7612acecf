package holder

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/cgroup"
	"durable/daemon/shim/protocol"
)

// holdOff ignores the signals that would end us. The runtime knows nothing of it: it has a handler for each, so it thinks, and
// gives a program their default state back. signal.Notify would take some 50 microseconds for each, between two
// threads, and a program waits for that; signal.Ignore would be passed on. What stops others has no handler.
func holdOff() {
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE} {
		dispose(sig, sigIgnore)
	}
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} { // the kernel stops nobody without a terminal
		dispose(sig, sigDefault)
	}
}

// SIG_DFL and SIG_IGN.
const (
	sigDefault = 0
	sigIgnore  = 1
)

func dispose(sig unix.Signal, how uintptr) {
	action := [4]uint64{uint64(how)} // all that matters is first, and no kernel's struct is longer
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}

// treePoll: no need to ask, as subreaper we hear of each end.
const treePoll time.Duration = 0

// becomeSubreaper makes what leaves the program's tree ours: a double fork leads to us, not to process 1.
func becomeSubreaper() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// openGroup opens the control group that the program is to run in. Where there is none, it runs in ours.
func openGroup(g protocol.Group) (protocol.Group, *os.File) {
	dir, err := cgroup.Open(g)
	if err != nil {
		return protocol.Group{}, nil
	}
	return g, dir
}

// into has a process start in that control group; nil: in ours. It reports whether there is one.
func into(attr *syscall.SysProcAttr, group *os.File) bool {
	attr.UseCgroupFD = group != nil
	if attr.UseCgroupFD {
		attr.CgroupFD = int(group.Fd())
	}
	return attr.UseCgroupFD
}

// left reports whether the tree still has processes, of which none is a child of ours.
func (t *tree) left() bool { return false }

// notifier has the kernel send a SIGIO at the next write to a file of the folder: dnotify. An inotify instance would be one
// of the 128 that a user may have, and would cost a wake-up for each write; this one is silent until it is armed again.
type notifier struct{ dir *os.File }

func newNotifier() notifier {
	dir, err := os.Open(here)
	if err != nil {
		return notifier{}
	}
	return notifier{dir}
}

// dnModify is DN_MODIFY, for one event.
const dnModify = 0x2

// arm asks for one signal. It reports false where that is not to be had.
func (n notifier) arm() bool {
	if n.dir == nil {
		return false
	}
	_, err := unix.FcntlInt(n.dir.Fd(), unix.F_NOTIFY, dnModify)
	return err == nil
}

// stopSelf stops the process by a signal to this very thread: one that is sent to the process is taken by any thread, and this one
// would go on until that has woken up.
func stopSelf() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
