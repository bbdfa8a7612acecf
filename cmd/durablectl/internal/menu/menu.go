// Package menu is the tutorial's interactive client, on real tasks: eight choices, its prompts and its texts.
//
// # Design
//
// It reads lines and writes lines, so that it works in any terminal and in a pipe, and a test is a transcript. What
// is typed is read by a goroutine of its own: Ctrl-C must be heard while nobody types. The texts are the tutorial's
// contract and change with that alone; its pictograms are left out, since not every terminal has them.
//
// Rejected: a form library and a full-screen list (the tutorial is a dialogue that people follow line by
// line, and top is there for the other thing); the MCP tools (durablectl talks to the daemon, as a person
// and not as an assistant, so that nothing is asked about twice).
package menu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// Options is what a menu works with.
type Options struct {
	In  io.Reader
	Out io.Writer
	Svc task.Service
	// Place makes a path that was typed absolute; what is the name of what it is for.
	Place func(what, path string) (string, error)
}

// ErrInterrupted: the person pressed Ctrl-C. It was said already that the tasks go on.
var ErrInterrupted = errors.New("interrupted")

// errEnd: nobody types any more.
var errEnd = errors.New("end of input")

// menu is one run.
type menu struct {
	Options
	lines chan string
	// failed is set once when the output is gone.
	failed error
}

const choices = `
========================================
Available options:
1. Start data migration
2. Start batch processing
3. Start ML training
4. View server statistics
5. View task list
6. Monitor specific task
7. Cancel task
8. Exit
`

// Run talks until the person leaves, the input ends, the output is gone or ctx is done, which is [ErrInterrupted]. No task
// is touched by that. The goroutine that reads In ends with In.
func Run(ctx context.Context, o Options) error {
	m := &menu{Options: o, lines: make(chan string)}
	done := make(chan struct{})
	defer close(done)
	go m.read(done)
	m.say("Interactive Demo of the MCP Durability System\n%s\n", strings.Repeat("=", 55))
	if _, err := o.Svc.Info(ctx); err != nil { // the first request starts the daemon
		return err
	}
	m.say("Connected to the durability server\n")
	for {
		m.say(choices)
		choice, err := m.ask(ctx, "\nSelect an option (1-8): ")
		if err == nil {
			err = m.choose(ctx, choice)
		}
		switch {
		case m.failed != nil:
			return m.failed
		case ctx.Err() != nil:
			m.say("\nDemo interrupted. Bye! The tasks go on; durablectl list\n")
			return ErrInterrupted
		case errors.Is(err, errLeave), errors.Is(err, errEnd):
			if errors.Is(err, errEnd) {
				m.say("\n")
			}
			m.say("Bye!\n")
			return m.failed
		case err != nil:
			m.report(err)
		}
	}
}

// errLeave: choice 8.
var errLeave = errors.New("leave")

func (m *menu) choose(ctx context.Context, choice string) error {
	switch choice {
	case "1":
		return m.migration(ctx)
	case "2":
		return m.batch(ctx)
	case "3":
		return m.training(ctx)
	case "4":
		return m.statistics(ctx)
	case "5":
		return m.list(ctx)
	case "6":
		return m.monitor(ctx)
	case "7":
		return m.cancel(ctx)
	case "8":
		return errLeave
	}
	m.say("Invalid option. Please select 1-8.\n")
	return nil
}

// report says what went wrong and what to do about it; the menu goes on.
func (m *menu) report(err error) {
	e := task.AsError(err)
	m.say("Error: %s\n", render.Clean(e.Message))
	if e.Hint != "" {
		m.say("Hint: %s\n", render.Clean(e.Hint))
	}
}

// read hands on what is typed, line by line, until the input ends or done is closed.
func (m *menu) read(done <-chan struct{}) {
	defer close(m.lines)
	for in := bufio.NewReader(m.In); ; {
		line, err := in.ReadString('\n')
		if err == nil || line != "" {
			select {
			case m.lines <- strings.TrimSpace(line):
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (m *menu) say(format string, args ...any) {
	if _, err := fmt.Fprintf(m.Out, format, args...); err != nil && m.failed == nil {
		m.failed = task.Errorf(task.Internal, "write output: %w", err)
	}
}

// ask returns the line that is typed in answer.
func (m *menu) ask(ctx context.Context, prompt string) (string, error) {
	m.say("%s", prompt)
	if m.failed != nil {
		return "", m.failed
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line, ok := <-m.lines:
		if !ok {
			return "", errEnd
		}
		return line, nil
	}
}

// askNumber returns a number of at least 1, def where nothing is typed.
func (m *menu) askNumber(ctx context.Context, prompt string, def int64) (int64, error) {
	line, err := m.ask(ctx, prompt)
	if err != nil || line == "" {
		return def, err
	}
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil || n < 1 {
		return 0, task.Errorf(task.InvalidArgument, "%q: want a whole number from 1 on", line)
	}
	return n, nil
}
