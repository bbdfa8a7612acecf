package mcpserver

import (
	"regexp"
	"strings"

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

// terminalPhrases are those of hints that name a flag or a command where a tool has an argument, each with what a model is told instead.
var terminalPhrases = []string{
	"more time: --timeout 2h", `more time: timeout "2h"`,
	"durablectl run --stdin FILE -- ...", "and name it in the command, such as program < FILE with shell=true",
	"only commands read from stdin: durablectl run", "only what start_command started with interactive=true reads from stdin",
	"start it with stdin open: durablectl run --interactive -- ...", "start_command with interactive=true keeps the input open",
	"a line for the shell: durablectl run --shell 'LINE'", "a line for the shell is the only element of command, with shell=true",
	"--env ", "in env: ",
}

var asArguments = strings.NewReplacer(terminalPhrases...)

// toolHint is a hint with the tools' names in place of the commands'.
func toolHint(hint string) string {
	hint = asArguments.Replace(hint)
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
