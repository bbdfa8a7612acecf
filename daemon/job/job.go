// Package job is what the author of a job kind writes against: a [Kind] says what it takes and does
// the work, a [Context] is its line to the engine.
//
// # The contract of a kind
//
// Prepare runs while the caller waits for the answer to his submit: it checks the parameters and what
// they name, has no effects, and is quick. Run does one attempt. It may be called again for the same
// task, in another process, after a crash at any point of an earlier attempt: it finds its position
// with [Context.Load], and what it did after its last [Context.Checkpoint] it may have to do again.
//
// Run returns soon after its context is done, whatever the cause: the engine waits for it, because a
// goroutine cannot be killed, and until it has returned its slot stays taken and no other attempt of
// the task begins. The cause tells why ([ErrStop], [ErrCancelled], [ErrTimeout]); what matters to
// most kinds is only that the position is durable. Checkpoint works also when the context is done.
//
// # Design
//
// Two contexts, as every durable supervisor needs (the daemon leaves; the task is to end), are one
// context.Context with two causes: a kind that does not care has one thing to watch. Rejected: two
// parameters, because each library takes one.
//
// A Context is a struct around a small [Host] interface, not an interface itself: kinds are tested with
// jobtest's host, and methods can be added without breaking them. Rejected: heartbeats (Temporal),
// since a goroutine in our own process cannot vanish unseen.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"durable/ipc/task"
)

// Kind is one kind of job. Its methods may be called from several goroutines at once.
type Kind interface {
	// Describe returns the kind's name, texts and schema; always the same.
	Describe() task.KindInfo
	// Prepare checks a submit. The error is shown to the caller as it is: a *task.Error with a hint.
	Prepare(ctx context.Context, spec task.Spec) (Plan, error)
	// Run does one attempt and returns the result, anything that encoding/json can write as an object.
	Run(ctx context.Context, j *Context) (any, error)
}

// Cleaner is a Kind that has something to remove once a task's terminal state is durable: what an
// earlier removal would make it lose. Clean is called at least once for each terminal task, also after
// a crash and in another process, and must bear repetition. An error is logged and Clean called again
// at the next start of the daemon.
type Cleaner interface {
	Clean(ctx context.Context, t task.Task) error
}

// Survivor is a Kind whose attempts go on without the daemon: their work is done by another process.
//
// An attempt of it begins in phase starting and runs once Run has called Context.Started. When its context is done
// with ErrStop, Run leaves the work alone and returns ErrDetached: the attempt goes on, keeps its number,
// and the next daemon calls Run again for it, with Context.Adopted true. That happens after a crash too, at any
// point of an earlier call of Run: it finds out from the attempt's folder what has become of the work, and returns
// an error made with [Ended] where that is more than success or failure. As soon as it has found that the work goes on
// it calls Context.Started (or Orphaned): a timeout that has passed meanwhile ends the context only then.
//
// A cancel may have been committed before Run is called: its context is done then. Ending the work may take longer than
// the daemon stays: Context.Leaving says so, and ErrDetached leaves the rest to the next one. Run must not return
// another error than ErrDetached while the work may go on: another attempt could begin beside it. ErrDetached that
// nobody asked for, and a panic, have Run called again after a moment, with Adopted true.
type Survivor interface {
	Kind
	// Survives is there to be seen by the compiler and the reader.
	Survives()
}

// Furnisher is a Survivor whose attempts find more than a folder. Furnish is called beside the commit that begins the attempt, so
// that its program does not wait for it: it makes dir, in a folder that exists, and in it what Run will need. Whatever is missing, Run makes.
// As the commit may fail, nothing but empty files may be in dir before Run is called.
type Furnisher interface {
	Survivor
	Furnish(dir string)
}

// Inputter is a Kind whose attempts take input while they run. dir is the folder of the task's current attempt.
// Input may be called while no Run is: it makes the input durable before it returns.
type Inputter interface {
	Input(ctx context.Context, dir string, req task.StdinRequest) (task.StdinState, error)
}

// Reviver is a Kind that can make the parameters of an ended task fit to be submitted again: secrets are gone
// with the end of a task, and the request brings those that are needed.
type Reviver interface {
	Revive(ctx context.Context, t task.Task, req task.RetryRequest) (Plan, error)
}

// Plan is what Prepare makes of a spec.
type Plan struct {
	// Title is used where the caller gave none.
	Title string
	// Params are stored and shown: normalised, without secrets.
	Params json.RawMessage
	// Secrets are stored apart, never shown, and gone with the task's end.
	Secrets json.RawMessage
	// Retry, if set, is the policy where the caller gave none.
	Retry *task.Retry
	// Timeout is that of each attempt where the caller gave none.
	Timeout task.Duration
	// Effects are what the policy has to allow: programs that are run, files that are overwritten.
	Effects []task.Effect
}

// Causes of a Run's context being done, for context.Cause.
var (
	// ErrStop: the daemon leaves. The task goes on from its checkpoint when a daemon is back.
	ErrStop = errors.New("the daemon stops")
	// ErrDown is an ErrStop with which the machine goes down, or the session that all lives in: the work of a [Survivor]
	// would be killed in a moment. It ends it itself, in order, and returns [Ended] with task.OutcomeInterrupted.
	ErrDown = fmt.Errorf("%w, and all that it has started", ErrStop)
	// ErrCancelled: the task was cancelled.
	ErrCancelled = errors.New("cancelled")
	// ErrTimeout: the attempt has used up its timeout.
	ErrTimeout = errors.New("timed out")
	// ErrFenced: the attempt is no longer the task's current one and must not touch anything.
	ErrFenced = errors.New("another attempt owns the task")
	// ErrDetached is what Run of a [Survivor] returns when it leaves its work to go on without it.
	ErrDetached = errors.New("the work goes on without the daemon")
)

// ended is an end that is more than success or failure.
type ended struct {
	error
	outcome task.Outcome
}

func (e ended) Unwrap() error { return e.error }

// Ended returns err as the end of an attempt with that outcome: task.OutcomeSignaled, OutcomeTimedOut (under an earlier
// daemon), OutcomeLost, OutcomeInterrupted. A cancel or a timeout that ended the attempt's context still has the last word, but that no
// timeout makes of an interruption anything else.
func Ended(outcome task.Outcome, err error) error { return ended{err, outcome} }

// OutcomeOf returns the outcome that err was given by [Ended], else task.OutcomeFailed.
func OutcomeOf(err error) task.Outcome {
	var e ended
	if errors.As(err, &e) {
		return e.outcome
	}
	return task.OutcomeFailed
}

// permanent marks an error that another attempt would only meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err so that no retry follows, whatever the policy says.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type unbegun struct{ error }

func (u unbegun) Unwrap() error { return u.error }

// Unbegun marks err as what has kept an attempt from beginning: nothing of it was done, and Run may be called again. Where it was a full
// disk, it is, when there may be space: a task that was accepted does not fail of that.
func Unbegun(err error) error {
	if err == nil {
		return nil
	}
	return unbegun{err}
}

// IsUnbegun reports whether err was marked by [Unbegun].
func IsUnbegun(err error) bool {
	var u unbegun
	return errors.As(err, &u)
}

// IsPermanent reports whether err was marked by [Permanent], or is a task.Error of a class that
// another attempt cannot mend: task.InvalidArgument, task.FailedPrecondition and task.Unimplemented.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p) || errors.Is(err, task.InvalidArgument) ||
		errors.Is(err, task.FailedPrecondition) || errors.Is(err, task.Unimplemented)
}
