package task

// State is where a task stands: a status and one of its phases.
type State struct {
	Status Status
	Phase  Phase
}

// Trigger is something that moves a task. The end of an attempt is not among them: see [Settle].
type Trigger string

const (
	// TriggerReady: what the task waited for has come (its time, its dependencies, its backoff).
	TriggerReady Trigger = "ready"
	// TriggerApprove: a person allowed it.
	TriggerApprove Trigger = "approve"
	// TriggerStart: an attempt is committed to begin.
	TriggerStart Trigger = "start"
	// TriggerRun: the attempt does its work now.
	TriggerRun Trigger = "run"
	// TriggerPause and TriggerResume: a person holds it, and lets it go on.
	TriggerPause  Trigger = "pause"
	TriggerResume Trigger = "resume"
	// TriggerAsk and TriggerAnswer: the attempt has a question, and gets its answer.
	TriggerAsk    Trigger = "ask"
	TriggerAnswer Trigger = "answer"
	// TriggerCancel: from here on the task can only end cancelled.
	TriggerCancel Trigger = "cancel"
	// TriggerOrphan: the attempt's holder is gone, its processes are not.
	TriggerOrphan Trigger = "orphan"
)

// Triggers lists every trigger.
var Triggers = []Trigger{
	TriggerReady, TriggerApprove, TriggerStart, TriggerRun, TriggerPause, TriggerResume,
	TriggerAsk, TriggerAnswer, TriggerCancel, TriggerOrphan,
}

func pending(p Phase) State { return State{StatusPending, p} }
func running(p Phase) State { return State{StatusRunning, p} }

// Transitions is the whole table: what is not in it must not happen. It is data so that it can be
// printed, drawn and tested; nobody may write to it.
var Transitions = map[State]map[Trigger]State{
	pending(PhaseQueued): {
		TriggerStart:  running(PhaseStarting),
		TriggerPause:  pending(PhasePaused),
		TriggerCancel: {StatusCancelled, PhaseNone},
	},
	pending(PhaseScheduled): {
		TriggerReady:  pending(PhaseQueued),
		TriggerPause:  pending(PhasePaused),
		TriggerCancel: {StatusCancelled, PhaseNone},
	},
	pending(PhaseBlocked): {
		TriggerReady:  pending(PhaseQueued),
		TriggerPause:  pending(PhasePaused),
		TriggerCancel: {StatusCancelled, PhaseNone},
	},
	pending(PhaseRetryWait): {
		TriggerReady:  pending(PhaseQueued),
		TriggerPause:  pending(PhasePaused),
		TriggerCancel: {StatusCancelled, PhaseNone},
	},
	pending(PhaseAwaitingApproval): {
		TriggerApprove: pending(PhaseQueued),
		TriggerCancel:  {StatusCancelled, PhaseNone},
	},
	pending(PhasePaused): {
		TriggerResume: pending(PhaseQueued),
		TriggerCancel: {StatusCancelled, PhaseNone},
	},

	running(PhaseStarting): {
		TriggerRun:    running(PhaseRunning),
		TriggerCancel: running(PhaseStopping),
		TriggerOrphan: running(PhaseOrphaned),
	},
	running(PhaseRunning): {
		TriggerPause:  running(PhasePaused),
		TriggerAsk:    running(PhaseInputRequired),
		TriggerCancel: running(PhaseStopping),
		TriggerOrphan: running(PhaseOrphaned),
	},
	running(PhasePaused): {
		TriggerResume: running(PhaseRunning),
		TriggerCancel: running(PhaseStopping),
		TriggerOrphan: running(PhaseOrphaned),
	},
	running(PhaseInputRequired): {
		TriggerAnswer: running(PhaseRunning),
		TriggerCancel: running(PhaseStopping),
		TriggerOrphan: running(PhaseOrphaned),
	},
	running(PhaseOrphaned): {
		TriggerCancel: running(PhaseStopping),
	},
	// stopping has no way out but the attempt's end: a cancel that was acknowledged is final.
	running(PhaseStopping): {},

	{StatusCompleted, PhaseNone}: {},
	{StatusFailed, PhaseNone}:    {},
	{StatusCancelled, PhaseNone}: {},
}

// Next returns the state that trigger leads to from s, and false where the table has no such step.
func Next(s State, trigger Trigger) (State, bool) {
	next, ok := Transitions[s][trigger]
	return next, ok
}

// OutcomeRule says what follows from an outcome when nobody cancelled the task.
type OutcomeRule struct {
	// Final is the state when no other attempt follows.
	Final Status
	// Retry: the task's retry policy may give it another attempt, after a backoff.
	Retry bool
	// Requeue: it is queued again at once, without counting against any limit.
	Requeue bool
	// Counts: the attempt counts against the limit of the retry policy.
	Counts bool
}

// Outcomes is the whole table of [OutcomeRule]. Nobody may write to it.
var Outcomes = map[Outcome]OutcomeRule{
	OutcomeSucceeded:   {Final: StatusCompleted, Counts: true},
	OutcomeFailed:      {Final: StatusFailed, Retry: true, Counts: true},
	OutcomeSignaled:    {Final: StatusFailed, Retry: true, Counts: true},
	OutcomeTimedOut:    {Final: StatusFailed, Retry: true, Counts: true},
	OutcomeLost:        {Final: StatusFailed, Counts: true},
	OutcomeInterrupted: {Final: StatusFailed, Requeue: true},
	OutcomeCancelled:   {Final: StatusCancelled, Counts: true},
}

// Settlement is what [Settle] has to know besides the outcome.
type Settlement struct {
	// CancelRequested: a cancel was committed. It decides, whatever the attempt did.
	CancelRequested bool
	// RetryAllowed: the policy has an attempt left and the error was not a permanent one.
	RetryAllowed bool
	// RetryLost: the task asked for another attempt also when it is unknown how the last one ended.
	RetryLost bool
	// Restart is the task's policy; Permanent: the error is one that another attempt would only meet again,
	// so that the policy does not ask for one.
	Restart   Restart
	Permanent bool
	// CrashLoop: this interruption is the one that reaches [CrashLoopLimit].
	CrashLoop bool
}

// again reports whether another attempt follows, after a backoff, by the retry policy or the restart policy.
func (c Settlement) again(outcome Outcome, rule OutcomeRule) bool {
	failed := rule.Retry || outcome == OutcomeLost && c.RetryLost
	switch {
	case failed && c.RetryAllowed:
		return true
	case c.Permanent:
		return false
	case c.Restart == RestartOnFailure:
		return failed
	}
	return c.Restart == RestartAlways && outcome != OutcomeCancelled
}

// Settle returns where a running task goes when its attempt has ended with outcome, and the reason
// where the state alone does not say it. It panics on an outcome that is not in [Outcomes]: only a
// programming error can bring one here.
func Settle(outcome Outcome, c Settlement) (State, string) {
	rule, ok := Outcomes[outcome]
	if !ok {
		panic("task: settle: unknown outcome " + string(outcome))
	}
	switch {
	case c.CancelRequested:
		return State{StatusCancelled, PhaseNone}, ""
	case rule.Requeue && c.Restart == RestartNever:
		return State{rule.Final, PhaseNone}, ReasonRestartNever
	case rule.Requeue && c.CrashLoop:
		return pending(PhasePaused), ReasonCrashLoop
	case rule.Requeue:
		return pending(PhaseQueued), ""
	case c.again(outcome, rule):
		return pending(PhaseRetryWait), ""
	default:
		return State{rule.Final, PhaseNone}, ""
	}
}
