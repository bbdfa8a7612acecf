// Package setup asks a person what durablectl setup has to know, with forms on the terminal.
//
// # Design
//
// The forms are charm's huh: a list to choose from, with keys that people know, and a plain mode for screen readers
// (ACCESSIBLE is set in the environment), where each question is a line. It is the only package that imports it: what is
// done with the answers, and whether anything is asked at all, is the command's.
//
// Rejected: questions of our own (lists, keys, narrow terminals and screen readers are what such a library is for), a
// screen of its own for each step (four questions fit on one page).
package setup

import (
	"context"
	"errors"
	"io"

	"charm.land/huh/v2"

	"durable/ipc/task"
)

// Choice is one answer to a question.
type Choice struct {
	Value, Label string
}

// Questions are those that are open; a list without choices is not asked.
type Questions struct {
	Service, Hosts, Policy []Choice
	FirstTask              bool
	// Plain asks line by line.
	Plain bool
	In    io.Reader
	Out   io.Writer
}

// Answers are a person's, or the ones that are suggested before he is asked.
type Answers struct {
	Service   string
	Hosts     []string
	Policy    string
	FirstTask bool
}

// heading is the lines of a title and a description. Without a height, huh 2.0.3 takes them from those of the options.
const heading = 2

// Ask asks what is open and fills in the answers. The error is a [task.FailedPrecondition] when the person leaves.
func Ask(ctx context.Context, q Questions, a *Answers) error {
	var fields []huh.Field
	if len(q.Service) > 0 {
		fields = append(fields, huh.NewSelect[string]().Title("Should durable's service start by itself?").
			Description("It finishes what assistants start, also after a reboot.").Options(options(q.Service)...).Value(&a.Service))
	}
	if len(q.Hosts) > 0 {
		fields = append(fields, huh.NewMultiSelect[string]().Title("Which programs shall know durable?").
			Description("An entry is put into the configuration of each. Space marks.").Options(options(q.Hosts)...).
			Height(len(q.Hosts)+heading).Value(&a.Hosts))
	}
	if len(q.Policy) > 0 {
		fields = append(fields, huh.NewSelect[string]().Title("What may assistants run?").
			Description("What you start in a terminal runs in any case.").Options(options(q.Policy)...).Value(&a.Policy))
	}
	if q.FirstTask {
		fields = append(fields, huh.NewConfirm().Title("Run a first task?").Description("A short program, to see it work.").Value(&a.FirstTask))
	}
	if len(fields) == 0 {
		return nil
	}
	form := huh.NewForm(huh.NewGroup(fields...)).WithInput(q.In).WithOutput(q.Out).WithAccessible(q.Plain)
	err := form.RunWithContext(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, huh.ErrUserAborted):
		return task.Errorf(task.FailedPrecondition, "nothing was done")
	case err != nil:
		return task.Errorf(task.FailedPrecondition, "the questions: %w", err).
			WithHint("each can be answered by a flag: durablectl setup --help")
	}
	return nil
}

func options(choices []Choice) []huh.Option[string] {
	var all []huh.Option[string]
	for _, c := range choices {
		all = append(all, huh.NewOption(c.Label, c.Value))
	}
	return all
}
