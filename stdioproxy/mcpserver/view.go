package mcpserver

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// statusPrefix begins the URI of a task's status; the rest is the task's ID.
const statusPrefix = "task://status/"

func statusURI(id task.ID) string { return statusPrefix + string(id) }

// view is a task as MCP shows it. The first ten keys are the tutorial's and their rules are promised:
// progress is a number in percent, message is never null, error is a string exactly when the status
// is failed (clients stop watching at any other value but null). The rest is ours.
type view struct {
	TaskID      task.ID         `json:"task_id"`
	Status      task.Status     `json:"status"`
	Progress    float64         `json:"progress"`
	Total       *float64        `json:"total"`
	Message     string          `json:"message"`
	ResultData  json.RawMessage `json:"result_data"`
	Error       *string         `json:"error"`
	CreatedAt   stamp           `json:"created_at"`
	UpdatedAt   stamp           `json:"updated_at"`
	CompletedAt *stamp          `json:"completed_at"`

	Number    uint64       `json:"number"`
	Title     string       `json:"title,omitempty"`
	Kind      string       `json:"kind"`
	Phase     task.Phase   `json:"phase,omitempty"`
	Outcome   task.Outcome `json:"outcome,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	Attempt   int          `json:"attempt,omitempty"`
	Done      int64        `json:"done"`
	Of        *int64       `json:"of,omitempty"`
	Unit      string       `json:"unit,omitempty"`
	Rate      float64      `json:"rate,omitempty"`
	ETA       *int64       `json:"eta_seconds,omitempty"`
	ErrorHint string       `json:"error_hint,omitempty"`
	LastError string       `json:"last_error,omitempty"`
	// ExitCode, Signal and LastLine tell how a program failed; Approval what a task waits to be allowed.
	ExitCode *int64   `json:"exit_code,omitempty"`
	Signal   string   `json:"signal,omitempty"`
	LastLine string   `json:"last_line,omitempty"`
	Approval []string `json:"approval,omitempty"`
	Question string   `json:"question,omitempty"`
	RetryOf  task.ID  `json:"retry_of,omitempty"`
}

// row is a task in the tutorial's lists: fewer keys, and two of its own.
type row struct {
	TaskID      task.ID     `json:"task_id"`
	Status      task.Status `json:"status"`
	Progress    float64     `json:"progress"`
	Total       *float64    `json:"total"`
	Message     string      `json:"message"`
	CreatedAt   stamp       `json:"created_at"`
	UpdatedAt   stamp       `json:"updated_at"`
	CompletedAt *stamp      `json:"completed_at"`
	HasResult   bool        `json:"has_result"`
	HasError    bool        `json:"has_error"`

	Number uint64     `json:"number"`
	Title  string     `json:"title,omitempty"`
	Kind   string     `json:"kind"`
	Phase  task.Phase `json:"phase,omitempty"`
}

// stamp is a time in JSON: Unix seconds in resources, which is the tutorial's form, RFC 3339 in tools,
// because models cannot read the other.
type stamp struct {
	time.Time
	unix bool
}

func (s stamp) MarshalJSON() ([]byte, error) {
	if s.unix {
		return fmt.Appendf(nil, "%.6f", float64(s.UnixMicro())/1e6), nil
	}
	return json.Marshal(s.text())
}

func (s stamp) text() string { return s.UTC().Format(time.RFC3339) }

// form is the form of times: one of the two constants.
type form bool

const (
	forTool     form = false
	forResource form = true
)

func (f form) stamp(t time.Time) stamp { return stamp{t, bool(f)} }

func (f form) stampPtr(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	s := f.stamp(*t)
	return &s
}

// view returns t as MCP shows it.
func (f form) view(t task.Task) *view {
	v := &view{
		TaskID: t.ID, Status: t.Status, Message: message(t),
		CreatedAt: f.stamp(t.CreatedAt), UpdatedAt: f.stamp(t.UpdatedAt), CompletedAt: f.stampPtr(t.CompletedAt),
		Number: t.Number, Title: t.Title, Kind: t.Kind, Phase: t.Phase, Outcome: t.Outcome, Reason: t.Reason,
		Attempt: t.Attempt, Done: t.Progress.Done, Of: t.Progress.Total, Unit: t.Progress.Unit,
		Rate: t.Progress.Rate, RetryOf: t.RetryOf,
	}
	v.Progress, v.Total = percent(t)
	if t.Status == task.StatusCompleted && len(t.Result) > 0 {
		v.ResultData = t.Result
	}
	if eta := t.Progress.ETA; eta != nil && !t.Status.Terminal() {
		seconds := int64(time.Duration(*eta).Seconds())
		v.ETA = &seconds
	}
	if t.Status == task.StatusFailed {
		text := failure(t)
		v.Error = &text
	}
	if t.Error != nil {
		v.ErrorHint = toolHint(t.Error.Hint)
	}
	if t.LastError != nil && (t.Error == nil || t.Error.Message != t.LastError.Message) {
		v.LastError = t.LastError.Message
		if v.ErrorHint == "" {
			v.ErrorHint = toolHint(t.LastError.Hint)
		}
	}
	if t.Question != nil {
		v.Question = t.Question.Message
	}
	v.ending(t)
	v.Approval = effects(t)
	return v
}

// ending reads how a program failed off the details of the error.
func (v *view) ending(t task.Task) {
	e := t.Error
	if e == nil {
		e = t.LastError
	}
	if e == nil || t.Status == task.StatusCompleted {
		return
	}
	if code, err := strconv.ParseInt(fmt.Sprint(e.Details["exit_code"]), 10, 64); err == nil {
		v.ExitCode = &code
	}
	v.Signal, _ = e.Details["signal"].(string)
	v.LastLine, _ = e.Details["last_line"].(string)
}

func (f form) row(t task.Task) row {
	v := f.view(t)
	return row{
		TaskID: v.TaskID, Status: v.Status, Progress: v.Progress, Total: v.Total, Message: v.Message,
		CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, CompletedAt: v.CompletedAt,
		HasResult: v.ResultData != nil, HasError: v.Error != nil,
		Number: v.Number, Title: v.Title, Kind: v.Kind, Phase: v.Phase,
	}
}

// percent returns how far t is and 100, or 0 and nil where that is not known.
func percent(t task.Task) (float64, *float64) {
	hundred := 100.0
	if t.Status == task.StatusCompleted {
		return 100, &hundred
	}
	p, known := t.Progress.Percent()
	if !known {
		return 0, nil
	}
	return p, &hundred
}

// failure is why a failed task failed; never empty.
func failure(t task.Task) string {
	switch {
	case t.Error != nil && t.Error.Message != "":
		return t.Error.Message
	case t.LastError != nil && t.LastError.Message != "":
		return t.LastError.Message
	case t.Outcome != "":
		return "the attempt ended: " + string(t.Outcome)
	}
	return "failed"
}

// message is the job's own last word, or what the state means.
func message(t task.Task) string {
	if t.Progress.Message != "" {
		return t.Progress.Message
	}
	if t.Phase != task.PhaseNone {
		return phrases[t.Phase]
	}
	return string(t.Status)
}

// phrases say what a task in that phase does.
var phrases = map[task.Phase]string{
	task.PhaseQueued:           "waits for a free slot",
	task.PhaseScheduled:        "waits for its time",
	task.PhaseBlocked:          "waits for tasks it depends on",
	task.PhaseRetryWait:        "waits to try again",
	task.PhaseAwaitingApproval: "waits for a person's approval",
	task.PhasePaused:           "paused",
	task.PhaseStarting:         "starting",
	task.PhaseRunning:          "running",
	task.PhaseInputRequired:    "waits for an answer",
	task.PhaseStopping:         "stopping: it was cancelled",
	task.PhaseOrphaned:         "its supervisor died; how it ends cannot be known",
}

// text is the view for a reader: every fact of it, a line for each group.
func (v *view) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Task %d: %s\n", v.Number, v.Title)
	fmt.Fprintf(&b, "id: %s, kind: %s", v.TaskID, v.Kind)
	if v.RetryOf != "" {
		fmt.Fprintf(&b, ", retry of %s", v.RetryOf)
	}
	fmt.Fprintf(&b, "\nstatus: %s", v.Status)
	for _, word := range []string{string(v.Phase), string(v.Outcome), v.Reason} {
		if word != "" && word != string(v.Status) {
			b.WriteString(", " + word)
		}
	}
	if v.Attempt > 0 {
		fmt.Fprintf(&b, ", attempt %d", v.Attempt)
	}
	b.WriteString("\nprogress: " + v.progressText() + "\n")
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("question", v.Question)
	if v.Error != nil {
		line("error", *v.Error)
	}
	line("last error", v.LastError)
	if v.ExitCode != nil {
		line("exit code", strconv.FormatInt(*v.ExitCode, 10))
	}
	line("signal", v.Signal)
	line("last line", v.LastLine)
	line("waits for approval to", strings.Join(v.Approval, "; "))
	line("hint", v.ErrorHint)
	line("result", string(v.ResultData))
	fmt.Fprintf(&b, "created: %s, updated: %s", v.CreatedAt.text(), v.UpdatedAt.text())
	if v.CompletedAt != nil {
		fmt.Fprintf(&b, ", ended: %s", v.CompletedAt.text())
	}
	return b.String()
}

func (v *view) progressText() string {
	var parts []string
	if v.Total != nil {
		parts = append(parts, fmt.Sprintf("%.1f %%", v.Progress))
	}
	count := fmt.Sprintf("%d %s", v.Done, v.Unit)
	if v.Of != nil {
		count = fmt.Sprintf("%d of %d %s", v.Done, *v.Of, v.Unit)
	}
	parts = append(parts, strings.TrimSpace(count))
	if v.Rate > 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%.1f %s/s", v.Rate, v.Unit)))
	}
	if v.ETA != nil {
		parts = append(parts, fmt.Sprintf("%s left (%d s)", about(time.Duration(*v.ETA)*time.Second), *v.ETA))
	}
	return strings.Join(append(parts, v.Message), ", ")
}

func (r row) text() string {
	p := "  -  "
	if r.Total != nil {
		p = fmt.Sprintf("%.1f %%", r.Progress)
	}
	state := string(r.Status)
	if r.Phase != "" && string(r.Phase) != state {
		state += "/" + string(r.Phase)
	}
	return fmt.Sprintf("%d  %s  %s  %s  %s  [%s, %s, created %s]",
		r.Number, state, p, r.Title, r.Message, r.TaskID, r.Kind, r.CreatedAt.text())
}
