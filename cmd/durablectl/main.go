// durablectl is durable for a person at a terminal, and for scripts: it starts, shows, follows and
// cancels tasks, and looks after the daemon.
//
// # Design
//
// The command line is cobra's: what flags, help, suggestions and completion look like is what users of
// docker, kubectl and gh know. Each noun has a file; each command is a method of [cli], which holds what
// every command needs (the service, the streams, the screen), so that there are no package globals and
// a test runs a command as main does. What text looks like is made in internal/render, by pure
// functions; the bar that moves on a terminal is mpb's.
//
// The commands know [task.Service], not how it is reached. Only ipc/client dials, retries and resumes;
// only commands that bring work (start) let it start a daemon.
//
// What is a person's to decide (approve, policy) wants a terminal and is refused inside a task: a reminder, no fence.
// policy changes one line of the configuration file and reads the outcome again as TOML: a person's comments and
// order stay. Rejected: to write the file anew from what was read, which loses them. self works by files alone: a
// program may report while the daemon restarts.
//
// Rejected: urfave/cli (no completion with descriptions for all shells), kong (reflection where a
// function will do), and a full-screen library for watch (one line that changes is all it shows).
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	os.Exit(interruptible(newCLI()))
}

// interruptible runs the command line. The first Ctrl-C ends the command, never the task; a second one
// finds the default again and ends the process at once.
func interruptible(c *cli) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	return c.run(ctx, os.Args[1:])
}
