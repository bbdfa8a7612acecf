package shim

import (
	"context"
	"errors"
	"time"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
	"durable/ipc/task"
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
)

// BootID returns the identity of this boot of the machine (or of the container).
func BootID() string { return proc.BootID() }

// Start runs spec in dir, the attempt's folder, which exists and in which nothing was started before. It
// returns when the program runs, or why it does not: an error that is ErrNotExecuted. ctx ends only the wait for the
// holder to take its spec; whoever kills it then knows that nothing was run.
func (l Launcher) Start(ctx context.Context, dir string, spec Spec) (*Process, error) {
	return nil, task.Errorf(task.Unimplemented, "start: %w", ErrNotExecuted)
}

// Recover finds out what has become of the program that was started in dir under that nonce. An error means that
// this cannot be known now: nothing was changed then.
func (l Launcher) Recover(ctx context.Context, dir, nonce string) (*Process, Verdict, error) {
	return nil, "", task.Errorf(task.Unimplemented, "recover")
}

// Process is a program under a holder. It holds nothing open but while Wait is called.
type Process struct {
	// OnOrphan, if set, is called by Wait, once, when the holder is found gone while the program is not.
	OnOrphan func()
}

// Wait waits until the program has ended and, unless it may keep its children, all that it has started. It returns how
// the program ended, or one of the errors above, or the cause of ctx. It may be called again, but not at the same time.
func (p *Process) Wait(ctx context.Context) (Exit, error) { return Exit{}, ErrLost }

// Stop asks all of the program's processes to end (SIGTERM), and kills those that are left after grace. It does
// not wait. Where there is no holder that acts, Wait does it instead, so one has to be under way, or follow.
func (p *Process) Stop(grace time.Duration) error { return nil }

// PID returns the program's process ID for people to see; 0 if it is not known.
func (p *Process) PID() int { return 0 }

// Input appends to the input of the program that runs, or will run, in dir, and makes it durable. Data that lies before
// the end of what was given already is a repetition. limit is how long the whole input may become; 0 is no limit.
func Input(dir string, req task.StdinRequest, limit int64) (task.StdinState, error) {
	return task.StdinState{}, task.Errorf(task.Unimplemented, "input")
}
