package task

// Status is the coarse state of a task: five words that never change.
type Status string

const (
	// StatusPending: accepted and durable, no attempt is under way. The phase says what it waits for.
	StatusPending Status = "pending"
	// StatusRunning: an attempt is under way, or may be: it counts until its end was seen.
	StatusRunning Status = "running"
	// StatusCompleted: an attempt succeeded, and that was seen. Final.
	StatusCompleted Status = "completed"
	// StatusFailed: the last attempt did not succeed and no other follows. Final.
	StatusFailed Status = "failed"
	// StatusCancelled: somebody cancelled it. Final.
	StatusCancelled Status = "cancelled"
)

// Statuses lists every status, in the order in which people are shown them.
var Statuses = []Status{StatusPending, StatusRunning, StatusCompleted, StatusFailed, StatusCancelled}

// Unfinished lists the statuses that are not final, Ended those that are.
var (
	Unfinished = []Status{StatusPending, StatusRunning}
	Ended      = []Status{StatusCompleted, StatusFailed, StatusCancelled}
)

// Terminal reports whether s is final: a task never leaves it.
func (s Status) Terminal() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// Valid reports whether s is one of [Statuses].
func (s Status) Valid() bool {
	for _, known := range Statuses {
		if s == known {
			return true
		}
	}
	return false
}

// Phase says more about a pending or running task. A terminal task has none.
type Phase string

const (
	// PhaseNone is the phase of a terminal task.
	PhaseNone Phase = ""

	// PhaseQueued: ready, waits for a free slot.
	PhaseQueued Phase = "queued"
	// PhaseScheduled: waits for its run_at.
	PhaseScheduled Phase = "scheduled"
	// PhaseBlocked: waits for tasks that it depends on.
	PhaseBlocked Phase = "blocked"
	// PhaseRetryWait: an attempt failed; the next one starts when the backoff is over.
	PhaseRetryWait Phase = "retry_wait"
	// PhaseAwaitingApproval: a person has to allow it first.
	PhaseAwaitingApproval Phase = "awaiting_approval"

	// PhasePaused: held by a person or by crash_loop; the only phase that both statuses have.
	PhasePaused Phase = "paused"

	// PhaseStarting: the attempt is committed, its program may or may not be up.
	PhaseStarting Phase = "starting"
	// PhaseRunning: the attempt does its work.
	PhaseRunning Phase = "running"
	// PhaseInputRequired: the attempt waits for an answer.
	PhaseInputRequired Phase = "input_required"
	// PhaseStopping: cancelled for good, but the attempt has not ended yet.
	PhaseStopping Phase = "stopping"
	// PhaseOrphaned: its holder died, its processes live; how they end cannot be known.
	PhaseOrphaned Phase = "orphaned"
)

// Phases lists the phases of each status; what is not listed cannot occur.
var Phases = map[Status][]Phase{
	StatusPending: {PhaseQueued, PhaseScheduled, PhaseBlocked, PhaseRetryWait, PhaseAwaitingApproval, PhasePaused},
	StatusRunning: {PhaseStarting, PhaseRunning, PhasePaused, PhaseInputRequired, PhaseStopping, PhaseOrphaned},

	StatusCompleted: {PhaseNone},
	StatusFailed:    {PhaseNone},
	StatusCancelled: {PhaseNone},
}

// Outcome says how an attempt ended. It is always what was seen; where nothing was seen it is
// [OutcomeLost] or [OutcomeInterrupted], never success.
type Outcome string

const (
	// OutcomeNone: no attempt has ended yet.
	OutcomeNone Outcome = ""
	// OutcomeSucceeded: the attempt ended and reported success.
	OutcomeSucceeded Outcome = "succeeded"
	// OutcomeFailed: the attempt ended and reported an error, a panic or a non-zero exit.
	OutcomeFailed Outcome = "failed"
	// OutcomeSignaled: its program was ended by a signal that nobody here sent.
	OutcomeSignaled Outcome = "signaled"
	// OutcomeTimedOut: it was stopped because its timeout had passed.
	OutcomeTimedOut Outcome = "timed_out"
	// OutcomeLost: it ended, and nobody can know how.
	OutcomeLost Outcome = "lost"
	// OutcomeInterrupted: the daemon or the machine went down under it. Not its fault.
	OutcomeInterrupted Outcome = "interrupted"
	// OutcomeCancelled: it ended because it was cancelled.
	OutcomeCancelled Outcome = "cancelled"
)

// Reasons: machine-readable words in [Task.Reason] for a state that needs an explanation.
const (
	// ReasonCrashLoop: three attempts in a row were interrupted without a new checkpoint.
	ReasonCrashLoop = "crash_loop"
	// ReasonRestored: the task comes from a backup and waits for a person to resume it.
	ReasonRestored = "restored"
	// ReasonRestartNever: interrupted, and its restart policy forbids another attempt.
	ReasonRestartNever = "restart_never"
	// ReasonNotApproved: nobody allowed it in time.
	ReasonNotApproved = "not approved within 24h"
	// ReasonKindUnknown: this daemon has no such kind (any more).
	ReasonKindUnknown = "kind_unknown"
)

// CrashLoopLimit is the number of interruptions in a row, without a new checkpoint in between, after
// which a task is paused with [ReasonCrashLoop] instead of being queued again.
const CrashLoopLimit = 3
