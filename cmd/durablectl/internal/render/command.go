package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"durable/ipc/task"
)

// awaiting heads the status page: what waits for a person's yes, and how to give it.
func (s Screen) awaiting(tasks []task.Task) string {
	text := ""
	for _, t := range tasks {
		if t.Phase != task.PhaseAwaitingApproval {
			continue
		}
		text += s.Paint(Yellow, task.ApprovalNotice(t.Number)) + "\n"
		text += s.fit(fmt.Sprintf("  %d  %s  %s", t.Number, Kind(t.Kind), Clean(t.Title))) + "\n"
		for _, f := range effects(t) {
			text += "      " + Clean(f.Value) + "\n" // in full: this is what is allowed
		}
		if command, _ := program(t); command != "" && Clean(command) != Clean(t.Title) {
			text += "      " + Clean(command) + "\n" // in full too, where the title is none of it or not all
		}
	}
	if text != "" {
		text += "\n"
	}
	return text
}

// effects are what t would do, each in a sentence; nil where nobody is asked.
func effects(t task.Task) []Field {
	if t.Approval == nil || t.Phase != task.PhaseAwaitingApproval {
		return nil
	}
	fields := make([]Field, len(t.Approval.Effects))
	for i, e := range t.Approval.Effects {
		fields[i].Value = e.String()
	}
	return fields
}

// approval is the section about what t waits to be allowed.
func (s Screen) approval(t task.Task) string {
	fields := effects(t)
	if fields == nil {
		return ""
	}
	for i := range fields {
		fields[i].Name = "would"
	}
	if at := t.Approval.ExpiresAt; !at.IsZero() {
		fields = append(fields, Field{"until", s.time(at) + ", then it ends cancelled"})
	}
	return s.section("approval", fields)
}

// program is the command of t as it would be typed, "" where it has none, and its other parameters.
func program(t task.Task) (string, json.RawMessage) {
	var params map[string]json.RawMessage
	if t.Kind != "command" || json.Unmarshal(t.Params, &params) != nil {
		return "", t.Params
	}
	var words []string
	var script string
	var shell bool
	_ = json.Unmarshal(params["shell"], &shell)
	switch {
	case json.Unmarshal(params["script"], &script) == nil && script != "":
		delete(params, "script")
	case json.Unmarshal(params["command"], &words) == nil && len(words) > 0:
		for i := range words {
			if !shell { // a line for the shell is shown as it is
				words[i] = quote(words[i])
			}
		}
		script = strings.Join(words, " ")
		delete(params, "command")
	default:
		return "", t.Params
	}
	rest, err := json.Marshal(params)
	if err != nil {
		return "", t.Params
	}
	return script, rest
}

// bare are the characters that a shell leaves alone.
const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

// quote is word as one types it in a shell.
func quote(word string) string {
	if word != "" && strings.Trim(word, bare) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// exitOf says how the program of t failed: "7", "signal SIGSEGV"; "" where it did not, or nobody knows.
func exitOf(t task.Task) string {
	e := t.Error
	if e == nil {
		e = t.LastError
	}
	if e == nil || t.Status == task.StatusCompleted {
		return ""
	}
	if signal, ok := e.Details["signal"].(string); ok && signal != "" {
		return "signal " + signal
	}
	if code, ok := e.Details["exit_code"]; ok {
		return fmt.Sprint(code)
	}
	return ""
}

// lastLine is the last thing that a program that failed has said; "" where that is not known.
func lastLine(e *task.Error) string {
	if e == nil {
		return ""
	}
	line, _ := e.Details["last_line"].(string)
	return FirstLine(line)
}

// reported is an error's first line, with what the program said last.
func reported(e *task.Error) string {
	text := FirstLine(e.Message)
	if line := lastLine(e); line != "" && !strings.Contains(text, line) {
		text += ": " + line
	}
	return text
}
