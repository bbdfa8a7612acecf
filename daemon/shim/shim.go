package shim

import (
	"errors"
	"time"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// Spec is what is to run. Version may be left zero. The program's processes are found again by DURABLE_TASK_ID and
// DURABLE_ATTEMPT, which Env must have.
type Spec = protocol.Spec

// Exit is how a program ended.
type Exit = protocol.Exit

// StdinOpen is the Spec.Stdin of a program that [Input] feeds.
const StdinOpen = protocol.StdinOpen

// DefaultGrace is what programs have between SIGTERM and SIGKILL where nobody says otherwise.
const DefaultGrace = 10 * time.Second

// Verdict is what Recover finds.
type Verdict string

// The verdicts. Wait on the Process that comes with one says the rest, at once for all but Running and Orphaned.
const (
	// Running: its holder lives, and was adopted.
	Running Verdict = "running"
	// Ended: it ended while nobody watched; Wait returns how.
	Ended Verdict = "ended"
	// NotStarted: the program did not run, and will not in this folder; Wait returns ErrNotExecuted.
	NotStarted Verdict = "not_started"
	// Orphaned: its holder is gone, its processes are not. Wait watches them to their end, then returns ErrLost.
	Orphaned Verdict = "orphaned"
	// Lost: it ran, holder and processes are gone, and how it ended nobody knows; Wait returns ErrLost.
	Lost Verdict = "lost"
	// Interrupted: it ran in another boot of the machine; Wait returns ErrInterrupted.
	Interrupted Verdict = "interrupted"
)

// How a program ended that has no Exit.
var (
	// ErrNotExecuted: the program did not run, not one instruction of it.
	ErrNotExecuted = errors.New("the program was not run")
	// ErrLost: it cannot be known how the program ended.
	ErrLost = errors.New("nobody knows how the program ended")
	// ErrInterrupted: the machine went down under the program.
	ErrInterrupted = errors.New("the machine went down under the program")
)

// Launcher starts programs under holders, and finds them again. The zero value is ready to use.
type Launcher struct {
	// Program is the path of durable-shim; empty: beside the own executable, else on PATH.
	Program string
	// Spare, if set, keeps a holder ready between starts. All copies of a Launcher may share it.
	Spare *Spare
	// Groups, if set, gives each program a control group of its own. All copies of a Launcher share it.
	Groups *Groups
	// Boot returns the identity of this boot; nil: the real one.
	Boot func() string
	// Hook is called at the points named by the Point words; for tests.
	Hook func(point string)
}

// The points at which Hook is called.
const (
	PointBefore   = "shim.before"   // nothing was done
	PointSpawned  = "shim.spawned"  // the holder was started and has no spec
	PointSpecSent = "shim.specsent" // it has its spec
	PointUp       = "shim.up"       // it has answered
	PointSpare    = "shim.spare"    // a holder waits for the next start
)

// BootID returns the identity of this boot of the machine (or of the container).
func BootID() string { return proc.BootID() }

func (l Launcher) boot() string {
	if l.Boot != nil {
		return l.Boot()
	}
	return proc.BootID()
}

func (l Launcher) hook(point string) {
	if l.Hook != nil {
		l.Hook(point)
	}
}
