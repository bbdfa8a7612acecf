package task_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"durable/ipc/task"
)

// transitions is the table as people read it: a line a state, what is not named must not happen.
const transitions = `
pending/queued:            start>running/starting pause>pending/paused cancel>cancelled/
pending/scheduled:         ready>pending/queued pause>pending/paused cancel>cancelled/
pending/blocked:           ready>pending/queued pause>pending/paused cancel>cancelled/
pending/retry_wait:        ready>pending/queued pause>pending/paused cancel>cancelled/
pending/awaiting_approval: approve>pending/queued cancel>cancelled/
pending/paused:            resume>pending/queued cancel>cancelled/
running/starting:          run>running/running cancel>running/stopping orphan>running/orphaned
running/running:           pause>running/paused ask>running/input_required cancel>running/stopping orphan>running/orphaned
running/paused:            resume>running/running cancel>running/stopping orphan>running/orphaned
running/input_required:    answer>running/running cancel>running/stopping orphan>running/orphaned
running/orphaned:          cancel>running/stopping
running/stopping:
completed/:
failed/:
cancelled/:
`

func name(s task.State) string { return fmt.Sprintf("%s/%s", s.Status, s.Phase) }

// wanted parses transitions.
func wanted(t *testing.T) map[string]map[task.Trigger]string {
	t.Helper()
	out := map[string]map[task.Trigger]string{}
	for line := range strings.Lines(strings.TrimSpace(transitions)) {
		from, steps, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("bad line %q", line)
		}
		out[from] = map[task.Trigger]string{}
		for _, step := range strings.Fields(steps) {
			trigger, to, _ := strings.Cut(step, ">")
			out[from][task.Trigger(trigger)] = to
		}
	}
	return out
}

func states() []task.State {
	var out []task.State
	for _, s := range task.Statuses {
		for _, p := range task.Phases[s] {
			out = append(out, task.State{Status: s, Phase: p})
		}
	}
	return out
}

func TestNextEveryPair(t *testing.T) {
	want := wanted(t)
	if len(want) != len(states()) || len(task.Transitions) != len(states()) {
		t.Fatalf("states: %d in the test, %d in Transitions, %d in Phases", len(want), len(task.Transitions), len(states()))
	}
	for _, s := range states() {
		for _, trigger := range task.Triggers {
			wantTo, wantOK := want[name(s)][trigger]
			to, ok := task.Next(s, trigger)
			got := ""
			if ok {
				got = name(to)
			}
			if ok != wantOK || got != wantTo {
				t.Errorf("%s --%s--> %q %v, want %q %v", name(s), trigger, got, ok, wantTo, wantOK)
			}
		}
	}
	for from, steps := range want {
		for trigger := range steps {
			if !slices.Contains(task.Triggers, trigger) {
				t.Errorf("%s: trigger %q is not in Triggers", from, trigger)
			}
		}
	}
}

// settlements lists every combination of conditions.
func settlements() []task.Settlement {
	var out []task.Settlement
	for _, restart := range []task.Restart{
		task.RestartDefault, task.RestartOnInterrupt, task.RestartOnFailure, task.RestartAlways, task.RestartNever,
	} {
		for bits := range 1 << 5 {
			out = append(out, task.Settlement{
				CancelRequested: bits&1 != 0, RetryAllowed: bits&2 != 0, RetryLost: bits&4 != 0,
				Permanent: bits&8 != 0, CrashLoop: bits&16 != 0, Restart: restart,
			})
		}
	}
	return out
}

func outcomes() []task.Outcome {
	return []task.Outcome{
		task.OutcomeSucceeded, task.OutcomeFailed, task.OutcomeSignaled, task.OutcomeTimedOut,
		task.OutcomeLost, task.OutcomeInterrupted, task.OutcomeCancelled,
	}
}

// settled says in words of its own what ARCHITECTURE's outcome table says.
func settled(o task.Outcome, c task.Settlement) (string, string) {
	if c.CancelRequested {
		return "cancelled/", ""
	}
	again := func(yes bool) (string, string) {
		if yes {
			return "pending/retry_wait", ""
		}
		return "failed/", ""
	}
	always := c.Restart == task.RestartAlways && !c.Permanent
	onFailure := c.Restart == task.RestartOnFailure && !c.Permanent || always
	switch o {
	case task.OutcomeSucceeded:
		if always {
			return again(true)
		}
		return "completed/", ""
	case task.OutcomeCancelled:
		return "cancelled/", ""
	case task.OutcomeLost:
		return again(c.RetryLost && (c.RetryAllowed || onFailure) || always)
	case task.OutcomeInterrupted:
		if c.Restart == task.RestartNever {
			return "failed/", "restart_never"
		}
		if c.CrashLoop {
			return "pending/paused", "crash_loop"
		}
		return "pending/queued", ""
	}
	return again(c.RetryAllowed || onFailure)
}

func TestSettleEveryOutcomeAndCondition(t *testing.T) {
	if len(outcomes()) != len(task.Outcomes) {
		t.Fatalf("outcomes: %d in the test, %d in Outcomes", len(outcomes()), len(task.Outcomes))
	}
	for _, o := range outcomes() {
		for _, c := range settlements() {
			want, wantReason := settled(o, c)
			got, reason := task.Settle(o, c)
			if name(got) != want || reason != wantReason {
				t.Errorf("Settle(%s, %+v) = %s %q, want %s %q", o, c, name(got), reason, want, wantReason)
			}
			if got.Status == task.StatusCompleted && o != task.OutcomeSucceeded {
				t.Errorf("Settle(%s, %+v) calls it a success", o, c)
			}
			if !slices.Contains(states(), got) {
				t.Errorf("Settle(%s, %+v) = %s, which is no state", o, c, name(got))
			}
		}
	}
}

func TestSettlePanicsOnWhatIsNoOutcome(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	task.Settle(task.OutcomeNone, task.Settlement{})
}

// TestOnlyInterruptionsDoNotCount pins which attempts use up the retry policy.
func TestOnlyInterruptionsDoNotCount(t *testing.T) {
	for o, rule := range task.Outcomes {
		if rule.Counts != (o != task.OutcomeInterrupted) {
			t.Errorf("%s: counts = %v", o, rule.Counts)
		}
		if !rule.Final.Terminal() {
			t.Errorf("%s: final status %s is not terminal", o, rule.Final)
		}
	}
}

// steps returns where a task can go from s, by triggers and by the end of its attempt.
func steps(s task.State) []task.State {
	var out []task.State
	for _, to := range task.Transitions[s] {
		out = append(out, to)
	}
	if s.Status == task.StatusRunning {
		for o := range task.Outcomes {
			for _, c := range settlements() {
				if c.CancelRequested == (s.Phase == task.PhaseStopping) {
					to, _ := task.Settle(o, c)
					out = append(out, to)
				}
			}
		}
	}
	return out
}

func reach(from ...task.State) map[task.State]bool {
	seen := map[task.State]bool{}
	for len(from) > 0 {
		s := from[0]
		from = from[1:]
		if !seen[s] {
			seen[s] = true
			from = append(from, steps(s)...)
		}
	}
	return seen
}

func TestEveryStateIsReachableAndHasAWayOut(t *testing.T) {
	var first []task.State
	for _, p := range []task.Phase{task.PhaseQueued, task.PhaseScheduled, task.PhaseBlocked, task.PhaseAwaitingApproval} {
		first = append(first, task.State{Status: task.StatusPending, Phase: p})
	}
	reached := reach(first...)
	for _, s := range states() {
		if !reached[s] {
			t.Errorf("%s cannot be reached", name(s))
		}
		if s.Status.Terminal() {
			if n := len(steps(s)); n != 0 {
				t.Errorf("%s is final, and has %d ways out", name(s), n)
			}
			continue
		}
		ends := reach(s)
		if !ends[task.State{Status: task.StatusCancelled}] {
			t.Errorf("%s: no way to cancelled", name(s))
		}
		if s.Phase != task.PhaseStopping && !ends[task.State{Status: task.StatusCompleted}] {
			t.Errorf("%s: no way to completed", name(s))
		}
	}
}

// TestCancelIsFinal: once a cancel is committed, no path ends otherwise.
func TestCancelIsFinal(t *testing.T) {
	for _, s := range states() {
		to, ok := task.Next(s, task.TriggerCancel)
		if want := !s.Status.Terminal() && s.Phase != task.PhaseStopping; ok != want {
			t.Errorf("%s: cancel accepted = %v, want %v", name(s), ok, want)
		}
		if !ok {
			continue
		}
		for end := range reach(to) {
			if end.Status.Terminal() && end.Status != task.StatusCancelled {
				t.Errorf("%s, cancelled, can still end %s", name(s), name(end))
			}
		}
	}
}

func TestStatuses(t *testing.T) {
	all := slices.Concat(task.Unfinished, task.Ended)
	if !slices.Equal(all, task.Statuses) {
		t.Errorf("Unfinished and Ended = %v, want %v", all, task.Statuses)
	}
	for _, s := range task.Statuses {
		if !s.Valid() || s.Terminal() != slices.Contains(task.Ended, s) {
			t.Errorf("%s: valid %v, terminal %v", s, s.Valid(), s.Terminal())
		}
	}
	for _, s := range []task.Status{"", "Pending", "done"} {
		if s.Valid() || s.Terminal() {
			t.Errorf("%q: valid %v, terminal %v", s, s.Valid(), s.Terminal())
		}
	}
}
