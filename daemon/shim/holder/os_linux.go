package holder

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// treePoll: no need to ask, as subreaper we hear of each end.
const treePoll time.Duration = 0

// becomeSubreaper makes what leaves the program's tree ours: a double fork leads to us, not to process 1.
func becomeSubreaper() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

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
