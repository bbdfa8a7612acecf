package engine

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"durable/daemon/job"
	"durable/ipc/task"
)

// ending is what was seen of an attempt's end.
type ending struct {
	outcome   task.Outcome
	result    json.RawMessage
	err       *task.Error
	permanent bool
	clean     bool // the daemon saw it end: an interruption like that is no sign of a crash loop
}

// judge names the outcome. What Run returned comes first: a job that succeeded after it was told
// to stop has succeeded. An error under a done context is that context's doing, but for two things. What became of a
// Survivor's work is not changed by the daemon's leave; and no timeout of ours takes a machine down.
func judge(ctx context.Context, survives bool, result json.RawMessage, err error) ending {
	if err == nil {
		return ending{outcome: task.OutcomeSucceeded, result: result, clean: true}
	}
	end := ending{outcome: seen(survives, err), err: shortened(task.AsError(err)), permanent: job.IsPermanent(err)}
	down := end.outcome == task.OutcomeInterrupted
	end.clean = !down
	if end.outcome == task.OutcomeTimedOut { // under an earlier daemon
		end.err = errTimedOut()
	}
	if ctx.Err() == nil || errors.Is(err, task.Internal) {
		return end
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, job.ErrStop):
		if !survives || errors.Is(err, job.ErrStop) || errors.Is(err, context.Canceled) {
			end.outcome = task.OutcomeInterrupted
			end.clean = end.clean || errors.Is(err, job.ErrDown)
		}
	case errors.Is(cause, job.ErrCancelled):
		end.outcome = task.OutcomeCancelled
	case errors.Is(cause, job.ErrTimeout) && !down:
		end.outcome = task.OutcomeTimedOut
		end.err = errTimedOut()
	}
	return end
}

func errTimedOut() *task.Error {
	return task.Errorf(task.Unavailable, "timed out").WithHint("start it again with more time: --timeout 2h")
}

// seen is the outcome that Run gave to its error. It can say only what it may have seen.
func seen(survives bool, err error) task.Outcome {
	switch o := job.OutcomeOf(err); o {
	case task.OutcomeSignaled, task.OutcomeLost, task.OutcomeInterrupted:
		return o
	case task.OutcomeTimedOut:
		if survives {
			return o
		}
	}
	return task.OutcomeFailed
}

// shortened bounds what the record has to carry of an error. The job may still hold err itself.
func shortened(err *task.Error) *task.Error {
	if len(err.Message) <= MaxError {
		return err
	}
	short := *err
	short.Message = strings.ToValidUTF8(err.Message[:MaxError], "") + " ..."
	return &short
}
