package mcpserver

import (
	"regexp"

	"durable/ipc/task"
)

// commands are those of durablectl that a tool stands for. The daemon's hints speak to a person at a
// terminal; a model has no terminal, but the tool.
var commands = map[string]string{
	"list":   "list_tasks",
	"status": "get_task_status",
	"watch":  "wait_for_task",
	"wait":   "wait_for_task",
	"logs":   "get_task_output",
	"cancel": "cancel_task",
	"retry":  "retry_task",
	"pause":  "pause_task",
	"resume": "resume_task",
	"stdin":  "send_task_input",
}

// Of status, watch, wait, logs, cancel, pause, resume and stdin only those of a task: without a number they mean the daemon.
var command = regexp.MustCompile(`\bdurablectl (?:(list|retry)\b|(status|watch|wait|logs|cancel|pause|resume|stdin)( \d+))`)

// toolHint is a hint with the tools' names in place of the commands'.
func toolHint(hint string) string {
	return command.ReplaceAllStringFunc(hint, func(found string) string {
		m := command.FindStringSubmatch(found)
		return commands[m[1]+m[2]] + m[3]
	})
}

// forModel is e with a hint that a model can follow. e stays as it is: others may hold it.
func forModel(e *task.Error) *task.Error {
	if e == nil {
		return nil
	}
	told := *e
	told.Hint = toolHint(e.Hint)
	return &told
}
