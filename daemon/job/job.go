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
}

// Causes of a Run's context being done, for context.Cause.
var (
	// ErrStop: the daemon leaves. The task goes on from its checkpoint when a daemon is back.
	ErrStop = errors.New("the daemon stops")
	// ErrCancelled: the task was cancelled.
	ErrCancelled = errors.New("cancelled")
	// ErrTimeout: the attempt has used up its timeout.
	ErrTimeout = errors.New("timed out")
	// ErrFenced: the attempt is no longer the task's current one and must not touch anything.
	ErrFenced = errors.New("another attempt owns the task")
)

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

// IsPermanent reports whether err was marked by [Permanent], or is a task.Error of a class that
// another attempt cannot mend: task.InvalidArgument, task.FailedPrecondition and task.Unimplemented.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p) || errors.Is(err, task.InvalidArgument) ||
		errors.Is(err, task.FailedPrecondition) || errors.Is(err, task.Unimplemented)
}
