package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"durable/cmd/durablectl/internal/render"
	"durable/install/hosts"
	"durable/ipc/client"
	"durable/ipc/task"
)

// cli is one run of durablectl: what its commands have in common.
type cli struct {
	in       io.Reader
	out, err io.Writer
	// screen is out as something to draw on, errScreen err; Now is set anew for each drawing.
	screen, errScreen render.Screen
	now               func() time.Time
	// connect returns the service at socket ("" is the usual one). It dials nothing itself.
	connect func(socket string, how reach) task.Service
	// terminal reports whether a person can type to us.
	terminal func() bool
	// installable reports whether the daemon at those paths could be a service here, and is none yet; nil: nobody knows.
	installable func(context.Context, task.Info) bool
	// kinds are those that the daemon listed last, without asking it; nil: nobody knows.
	kinds func() []task.KindInfo
	// system is the machine whose MCP hosts are meant.
	system func() (hosts.System, error)
	// completion is how long a completion may take.
	completion time.Duration

	// What the global flags say.
	socket string
	json   bool

	// svc is set before a command runs.
	svc task.Service
}

func newCLI() *cli {
	return &cli{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		screen: terminal(os.Stdout), errScreen: terminal(os.Stderr),
		now:     time.Now,
		connect: connect, terminal: atTerminal, installable: installable,
		kinds:      func() []task.KindInfo { return client.ListedKinds("") },
		system:     hosts.This,
		completion: completionTimeout,
	}
}

// The exit statuses besides those of task.Code.
const (
	exitUsage       = 2
	exitFailed      = 10
	exitCancelled   = 11
	exitTimeout     = 124
	exitInterrupted = 130
)

// exit is an error of which everything was said already: only the status is left.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run runs one command line and returns the exit status.
func (c *cli) run(ctx context.Context, args []string) int {
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	cmd, err := root.ExecuteContextC(ctx)

	var status exit
	var known *task.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case ctx.Err() != nil:
		return exitInterrupted
	case !errors.As(err, &known):
		// What a command returns is a task.Error (see do), so this is cobra's: flags and arguments.
		var value *pflag.InvalidValueError
		if errors.As(err, &value) { // its own text names the Go function that was not pleased
			cause := value.Unwrap()
			var number *strconv.NumError
			if errors.As(cause, &number) {
				cause = number.Err
			}
			err = fmt.Errorf("%q for --%s: %w", value.GetValue(), value.GetFlag().Name, cause)
		}
		err = usage("%s", err).WithHint("%s --help shows how", cmd.CommandPath())
		c.json = c.json || slices.Contains(args, "--json") // the flags were not read to their end
	}
	e := task.AsError(err)
	c.report(e)
	return e.Code.ExitStatus()
}

// usage returns the error of a command line that cannot be meant.
func usage(format string, args ...any) *task.Error {
	return task.Errorf(task.InvalidArgument, format, args...)
}

// report says what went wrong. There is nobody left to tell when that does not work.
func (c *cli) report(e *task.Error) {
	if c.json {
		_ = encode(c.err, task.Envelope{Error: e})
		return
	}
	_, _ = fmt.Fprintf(c.err, "durablectl: error: %s\n", strings.Join(render.Lines(e.Message), "\n  "))
	if e.Hint != "" {
		_, _ = fmt.Fprintf(c.err, "hint: %s\n", render.Clean(e.Hint))
	}
}

// note says something beside the output: to people, since with --json stderr holds envelopes only.
func (c *cli) note(format string, args ...any) {
	if c.json {
		return
	}
	_, _ = fmt.Fprintf(c.err, format+"\n", args...)
}

// freshLine begins a new one behind the ^C that a terminal shows, and behind half a line of a log. A bar has seen to that itself.
func (c *cli) freshLine(ctx context.Context) {
	if ctx.Err() != nil && c.errScreen.Terminal() {
		c.note("")
	}
}

// print writes text for people, or, with --json, v instead.
func (c *cli) print(v any, text func(render.Screen) string) error {
	if c.json {
		return c.encode(v)
	}
	return c.write(text(c.draw()))
}

// draw returns the screen as of now.
func (c *cli) draw() render.Screen {
	s := c.screen
	s.Now = c.now()
	return s
}

func (c *cli) write(text string) error {
	return writeError(io.WriteString(c.out, text))
}

func (c *cli) encode(v any) error { return writeError(0, encode(c.out, v)) }

// writeError: output that was lost must not end in a status of 0.
func writeError[N int | int64](_ N, err error) error {
	if err == nil {
		return nil
	}
	return task.Errorf(task.Internal, "write output: %w", err)
}

// encode writes v as the API does: one line.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// each calls f for every task named and goes on after an error. All errors but the last are reported
// here, the last is returned; the exit status is that of the first.
func (c *cli) each(ctx context.Context, refs []string, f func(task.Ref) error) error {
	var first, last *task.Error
	for _, ref := range refs {
		err := f(task.Ref(ref))
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		if last != nil {
			c.report(last)
		}
		last = task.AsError(err)
		if first == nil {
			first = last
		}
	}
	if last == nil {
		return nil
	}
	if first == last {
		return last
	}
	c.report(last)
	return exit(first.Code.ExitStatus())
}
