package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// Detail returns all there is to know of one task, with what it left as its result, and the next command to type.
func (s Screen) Detail(t task.Task, left []task.Artifact) string {
	var b strings.Builder
	head := number(t.Number)
	b.WriteString(s.Paint(Bold, head) + strings.TrimPrefix(s.fit(head+"  "+Clean(t.Title)), head) + "\n")
	b.WriteString(s.facts(t))
	b.WriteString(s.approval(t))
	_, params := program(t)
	b.WriteString(s.section("parameters", sizes(Fields(params))))
	b.WriteString(s.section("labels", labels(t.Labels)))
	b.WriteString(s.attempts(t))
	if text := s.Results(t); text != "" {
		b.WriteString("\n" + s.Paint(Bold, "result") + "\n" + text)
	}
	if len(left) > 0 {
		b.WriteString("\n" + s.Paint(Bold, "artifacts") + "\n" + s.artifacts(left, 2))
		b.WriteString(fmt.Sprintf("  durablectl artifacts %d NAME prints one\n", t.Number))
	}
	b.WriteString(s.failure(t))
	if next := Next(t); next != "" {
		b.WriteString("\nnext: " + next + "\n")
	}
	return b.String()
}

// Field is a name and a value.
type Field struct{ Name, Value string }

// facts are the lines that a task has in any state.
func (s Screen) facts(t task.Task) string {
	var fields []Field
	add := func(name, format string, args ...any) {
		fields = append(fields, Field{name, fmt.Sprintf(format, args...)})
	}
	add("id", "%s", t.ID)
	add("kind", "%s", Kind(t.Kind))
	status := State(t.Status, t.Phase, t.Outcome)
	if t.Attempt > 0 {
		status += fmt.Sprintf(", attempt %d", t.Attempt)
	}
	if t.Phase == task.PhaseOrphaned {
		status += ", what held it is gone: watched to its end, but how it ends nobody will know"
	}
	if t.Reason != "" {
		status += ", " + reasons(t.Reason)
	}
	add("status", "%s", status)
	if command, _ := program(t); command != "" {
		add("command", "%s", command)
	}
	if exit := exitOf(t); exit != "" {
		add("exit", "%s", exit)
	}
	if line := s.progress(t); line != "" {
		add("progress", "%s", line)
	}
	add("created", "%s (%s)", s.time(t.CreatedAt), ago(t.CreatedAt, s.Now))
	if t.StartedAt != nil {
		add("started", "%s (%s)", s.time(*t.StartedAt), ago(*t.StartedAt, s.Now))
	}
	if t.CompletedAt != nil {
		add("ended", "%s (%s)%s", s.time(*t.CompletedAt), ago(*t.CompletedAt, s.Now), prefixed(", took ", s.took(t)))
	}
	if t.CancelRequestedAt != nil && !t.Status.Terminal() {
		add("cancelled", "%s, its attempt has not ended yet", ago(*t.CancelRequestedAt, s.Now))
	}
	if t.NextAttemptAt != nil && t.Status == task.StatusPending {
		add("next try", "in %s", Duration(t.NextAttemptAt.Sub(s.Now)))
	}
	if t.RunAt != nil && t.Status == task.StatusPending {
		add("runs at", "%s", s.time(*t.RunAt))
	}
	if c := t.Checkpoint; c != nil {
		add("checkpoint", "%s, %s, by attempt %d", ago(c.At, s.Now), Bytes(int64(c.Bytes)), c.Attempt)
	}
	fields = append(fields, policies(t)...)
	return s.fields(fields, 0)
}

// policies are the lines that only a task has that asks for something particular.
func policies(t task.Task) []Field {
	var fields []Field
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, Field{name, value})
		}
	}
	if t.Timeout > 0 {
		add("timeout", Duration(time.Duration(t.Timeout)))
	}
	if t.Retry != nil && t.Retry.MaxAttempts > 1 {
		add("retry", fmt.Sprintf("up to %d attempts", t.Retry.MaxAttempts))
	}
	if t.Restart != task.RestartOnInterrupt {
		add("restart", string(t.Restart))
	}
	if t.Queue != task.DefaultQueue {
		add("queue", t.Queue)
	}
	if t.Priority != 0 {
		add("priority", fmt.Sprint(t.Priority))
	}
	add("retry of", string(t.RetryOf))
	owner := t.Owner.Client
	if t.Owner.UID > 0 {
		owner = strings.TrimLeft(owner+fmt.Sprintf(", uid %d", t.Owner.UID), ", ")
	}
	add("owner", owner)
	if q := t.Question; q != nil {
		add("asks", q.Message)
	}
	return fields
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// reasons says the reason words in plain ones.
func reasons(reason string) string {
	switch reason {
	case task.ReasonCrashLoop:
		return fmt.Sprintf("interrupted %d times in a row without a new checkpoint", task.CrashLoopLimit)
	case task.ReasonRestored:
		return "restored from a backup"
	case task.ReasonRestartNever:
		return "interrupted, and it must not be started again by itself"
	case task.ReasonKindUnknown:
		return "this daemon does not know its kind"
	}
	return reason
}

// progress is a task's progress with a bar, "" before there is any.
func (s Screen) progress(t task.Task) string {
	p := t.Progress
	parts := report(t.Status, p)
	if percent, ok := percentOf(t.Status, p); ok && (p.Done > 0 || len(parts) > 0) {
		head := Percent(p)
		if s.Terminal() && !t.Status.Terminal() {
			head = Bar(percent, 20) + " " + head
		}
		parts = append([]string{head}, parts...)
	}
	return strings.Join(parts, ", ")
}

func labels(m map[string]string) []Field {
	fields := make([]Field, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fields = append(fields, Field{Clean(name), m[name]})
	}
	return fields
}

// Artifacts returns a table of what a task left.
func (s Screen) Artifacts(left []task.Artifact) string { return s.artifacts(left, 0) }

func (s Screen) artifacts(left []task.Artifact, indent int) string {
	table := Table{Indent: indent, Columns: []Column{{}, {Right: true}, {}}}
	for _, a := range left {
		table.Row(Cell{Text: a.Name}, Cell{Text: Bytes(a.Size)}, Cell{Text: s.time(a.ModTime)})
	}
	return table.Render(s)
}

// sizes are fields of which those that count bytes say so as people read it.
func sizes(fields []Field) []Field {
	for i, f := range fields {
		if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil && n >= 1024 && (strings.HasSuffix(f.Name, "_bytes") || f.Name == "log_limit") {
			fields[i] = Field{strings.TrimSuffix(f.Name, "_bytes"), Bytes(n)}
		}
	}
	return fields
}

// Fields returns the members of a JSON object by name, texts without their quotes. Anything else is
// one field without a name.
func Fields(raw json.RawMessage) []Field {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return []Field{{Value: string(raw)}}
	}
	fields := make([]Field, 0, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		fields = append(fields, Field{Clean(name), plain(object[name])})
	}
	return fields
}

func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text
	}
	return string(raw)
}

// fields are names and values under each other, in full: a path that is cut cannot be copied.
func (s Screen) fields(fields []Field, indent int) string {
	table := Table{Columns: []Column{{}, {}}, Indent: indent}
	for _, f := range fields {
		table.Row(Cell{f.Name, Faint}, Cell{Text: f.Value})
	}
	return table.Render(s)
}

func (s Screen) section(title string, fields []Field) string {
	if len(fields) == 0 {
		return ""
	}
	return "\n" + s.Paint(Bold, title) + "\n" + s.fields(fields, 2)
}

// result is t's result as people read it: no empty lists, three decimals, and a moment (a number under a
// name such as completion_time) by the clock. The exact figures are what --json is for.
func (s Screen) result(t task.Task) []Field {
	var fields []Field
	for _, f := range Fields(t.Result) {
		if f.Value == "[]" {
			continue
		}
		if x, err := strconv.ParseFloat(f.Value, 64); err == nil && strings.Contains(f.Value, ".") {
			f.Value = strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64)
			if strings.HasSuffix(f.Name, "_time") {
				f.Value = s.time(time.UnixMicro(int64(x * 1e6)))
			}
		}
		fields = append(fields, f)
	}
	return sizes(fields)
}

func (s Screen) attempts(t task.Task) string {
	if len(t.Attempts) == 0 {
		return ""
	}
	table := Table{Indent: 2, Columns: []Column{{Right: true}, {}, {}, {Right: true}, {Min: 20}}}
	for _, a := range t.Attempts {
		table.Row(
			Cell{Text: fmt.Sprint(a.Number)},
			Cell{Text: string(a.Outcome)},
			Cell{Text: s.time(a.StartedAt)},
			Cell{Text: Duration(a.EndedAt.Sub(a.StartedAt))},
			Cell{Text: FirstLine(a.Error), Color: Red},
		)
	}
	return "\n" + s.Paint(Bold, "attempts") + "\n" + table.Render(s)
}

// failure is the error in full: a stack or a log's end may be part of it.
func (s Screen) failure(t task.Task) string {
	e := t.Error
	if e == nil && !t.Status.Terminal() {
		e = t.LastError
	}
	if e == nil {
		return ""
	}
	text := "\n" + s.Paint(Red, "error") + "\n"
	for line := range strings.Lines(e.Message) {
		text += "  " + Clean(line) + "\n"
	}
	if line := lastLine(e); line != "" && !strings.Contains(e.Message, line) {
		text += "  it wrote last: " + line + "\n"
	}
	if e.Hint != "" {
		text += "  hint: " + Clean(e.Hint) + "\n"
	}
	return text
}

// Next returns the command that somebody who looks at t most likely wants next.
func Next(t task.Task) string {
	command := "watch"
	switch {
	case t.Status == task.StatusFailed && (t.Kind == "command" || exitOf(t) != ""): // it has said more than its last line
		return fmt.Sprintf("durablectl logs %d -n 20, or durablectl retry %d", t.Number, t.Number)
	case t.Status == task.StatusCompleted:
		command = "logs"
	case t.Status.Terminal():
		command = "retry"
	case t.Phase == task.PhaseAwaitingApproval:
		command = "approve"
	case t.Phase == task.PhasePaused:
		command = "resume"
	}
	return fmt.Sprintf("durablectl %s %d", command, t.Number)
}
