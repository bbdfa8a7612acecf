package mcpserver

import (
	"fmt"
	"math"
	"time"

	"durable/ipc/task"
)

// Bounds of check_again_seconds: what is asked more often costs the model its context and tells nothing.
const (
	minCheckAgain     = 30 * time.Second
	maxCheckAgain     = 6 * time.Hour
	unknownCheckAgain = time.Minute
	// longTask: up to here the next look is at the expected end, beyond it a third of the way.
	longTask = 10 * time.Minute
)

// advice is what the model should do next: a sentence, and when another look makes sense (0: never by
// itself).
type advice struct {
	Next       string
	CheckAgain time.Duration
}

// advise reads it off t.
func advise(t task.Task) advice {
	switch t.Status {
	case task.StatusCompleted:
		if t.Kind == kindCommand {
			return advice{Next: "Completed: the program ended with exit code 0. get_task_output shows what it wrote. Tell the user."}
		}
		return advice{Next: "Completed. Tell the user; there is nothing left to wait for."}
	case task.StatusFailed:
		return advice{Next: fmt.Sprintf("Failed: %s. get_task_output shows its log; once the cause is mended, retry_task %s.", failure(t), again(t))}
	case task.StatusCancelled:
		return advice{Next: "Cancelled. If the user wants it after all: retry_task " + again(t) + "."}
	}
	switch t.Phase {
	case task.PhasePaused:
		return advice{Next: fmt.Sprintf("Paused%s. resume_task lets it go on, when the user wants that; in a terminal: durablectl resume %d.", reason(t), t.Number)}
	case task.PhaseAwaitingApproval:
		return advice{Next: "Tell the user: " + task.ApprovalNotice(t.Number)}
	case task.PhaseInputRequired:
		return advice{Next: fmt.Sprintf("It asks a person and waits: durablectl answer %d. Tell the user.", t.Number)}
	}
	wait := checkAgain(t)
	return advice{
		Next:       fmt.Sprintf("%s. Tell the user; do not poll. Ask again in %s, or when the user asks.", standing(t), about(wait)),
		CheckAgain: wait,
	}
}

// standing is "Running, 34 %, about 3 h left".
func standing(t task.Task) string {
	s := "Running"
	switch {
	case t.Status == task.StatusPending:
		s = "Not running yet: it " + phrases[t.Phase]
		if t.Phase == task.PhaseQueued { // most often one is free, and it begins in this moment
			s = "Accepted: it starts as soon as a slot is free"
		}
	case t.Phase == task.PhaseStopping:
		s = "Being cancelled, not ended yet"
	case t.Phase == task.PhaseOrphaned:
		s = "Running, but its supervisor died: how it ends cannot be known"
	}
	if p, known := t.Progress.Percent(); known {
		s += fmt.Sprintf(", %.0f %%", math.Floor(p))
	}
	if eta := t.Progress.ETA; eta != nil {
		s += ", " + about(time.Duration(*eta)) + " left"
	}
	return s
}

// again is what retry_task does. A program has a checkpoint only if it keeps one itself.
func again(t task.Task) string {
	switch {
	case t.Attempt == 0, t.Kind == kindCommand:
		return "starts it again, as a new task"
	}
	return "goes on from its last checkpoint, as a new task"
}

func reason(t task.Task) string {
	if t.Reason == "" {
		return ""
	}
	return " (" + t.Reason + ")"
}

func checkAgain(t task.Task) time.Duration {
	if t.Progress.ETA == nil {
		return unknownCheckAgain
	}
	wait := time.Duration(*t.Progress.ETA)
	if wait > longTask {
		wait = max(longTask, wait/3)
	}
	return min(max(wait, minCheckAgain), maxCheckAgain).Round(time.Second)
}

// about is a duration as people say it.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("about %d s", max(1, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int(math.Round(d.Minutes())))
	case d < 36*time.Hour:
		return fmt.Sprintf("about %g h", math.Round(2*d.Hours())/2)
	}
	return fmt.Sprintf("about %d days", int(math.Round(d.Hours()/24)))
}
