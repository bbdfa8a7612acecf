package main

import (
	"os"

	"golang.org/x/term"

	"durable/ipc/task"
)

// envTask is set in the environment of every program that runs as a task.
const envTask = "DURABLE_TASK_ID"

// person refuses what only a person may do: it wants a terminal to type at, and not to be part of a task. For a
// program that goes to lengths this is a reminder, no fence: it could speak to the daemon itself.
func (c *cli) person(what string) error {
	if id := os.Getenv(envTask); id != "" {
		return task.Errorf(task.FailedPrecondition, "%s: this runs inside task %s", what, id).
			WithHint("a task does not allow itself anything: do it in a terminal of your own")
	}
	if !c.terminal() {
		return task.Errorf(task.FailedPrecondition, "%s: the input is not a terminal", what).
			WithHint("this is a person's decision: type it in a terminal")
	}
	return nil
}

// atTerminal reports whether somebody can type to this program.
func atTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }
