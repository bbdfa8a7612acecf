package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"durable/ipc/task"
)

// inputPiece is how much input is sent, and made durable, at a time.
const inputPiece = 64 << 10

// inputPatience is how long input is offered to a daemon that does not answer; inputPause lies between two offers.
const (
	inputPatience = 30 * time.Second
	inputPause    = 500 * time.Millisecond
)

func newStdin(c *cli) *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use:   "stdin TASK [FILE]",
		Short: "Write to the input of a running program",
		Long: `Write FILE, or what is typed or piped here, to the input of a program that was started with
durablectl run --interactive. All of it is durable before this command ends, and a daemon that
restarts meanwhile loses none of it and gets none of it twice. The input stays open for more, unless
--close is given. One at a time should write to a task.`,
		Example: `  echo yes | durablectl stdin 42
  durablectl stdin @last answers.txt --close`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("TASK")(cmd, args)
			}
			return atMost(2)(cmd, args)
		},
		ValidArgsFunction: c.completeInput,
		RunE: do(func(ctx context.Context, args []string) error {
			from := c.in
			if len(args) == 2 && args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return task.Errorf(task.InvalidArgument, "%w", err)
				}
				defer f.Close()
				from = f
			}
			return c.stdin(ctx, task.Ref(args[0]), from, end)
		}),
	}
	cmd.Flags().BoolVar(&end, "close", false, "then end the input: the program reads EOF")
	return cmd
}

// stdin copies from to the input of a task.
func (c *cli) stdin(ctx context.Context, ref task.Ref, from io.Reader, end bool) error {
	t, err := c.svc.Get(ctx, ref) // @last must not mean another task half way
	if err != nil {
		return err
	}
	send := func(req task.StdinRequest, data []byte) (task.StdinState, error) {
		return c.offerInput(ctx, t.ID.Ref(), req, data)
	}
	state, err := send(task.StdinRequest{Offset: task.StdinAtEnd}, nil)
	if err != nil {
		return err
	}
	first := state.Offset
	piece := make([]byte, inputPiece)
	for {
		n, readErr := c.readInput(ctx, from, piece)
		if n > 0 {
			if state, err = sendPiece(send, state.Offset, piece[:n]); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if ctx.Err() != nil && readErr != nil {
			c.freshLine(ctx)
			c.note("%d took %d bytes; its input stays open", t.Number, state.Offset-first)
			return exit(exitInterrupted)
		}
		if readErr != nil {
			return readErr
		}
	}
	if end {
		if state, err = send(task.StdinRequest{Offset: state.Offset, Close: true}, nil); err != nil {
			return err
		}
	}
	if c.json {
		return c.encode(state)
	}
	c.note("%d took %d bytes%s", t.Number, state.Offset-first, map[bool]string{true: "; its input has ended"}[state.Closed])
	return nil
}

// sendPiece sends data at an offset. That the input still ends there is asked first: what another has written
// meanwhile would make ours pass for a repetition of it.
func sendPiece(send func(task.StdinRequest, []byte) (task.StdinState, error), at int64, data []byte) (task.StdinState, error) {
	state, err := send(task.StdinRequest{Offset: task.StdinAtEnd}, nil)
	end := at
	if err == nil && state.Offset == at {
		state, err = send(task.StdinRequest{Offset: at}, data)
		end += int64(len(data))
	}
	if err == nil && state.Offset != end {
		err = task.Errorf(task.Conflict, "the input has %d bytes, where %d were expected: somebody else writes to it too", state.Offset, end).
			WithHint("one at a time: wait for the other, then begin again with what is missing")
	}
	return state, err
}

// readInput is one Read that an interrupt ends: a terminal may never give anything again.
func (c *cli) readInput(ctx context.Context, from io.Reader, piece []byte) (int, error) {
	type read struct {
		n   int
		err error
	}
	done := make(chan read, 1)
	go func() {
		n, err := from.Read(piece)
		done <- read{n, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			r.err = task.Errorf(task.InvalidArgument, "read input: %w", r.err)
		}
		return r.n, r.err
	case <-ctx.Done(): // the process ends, and with it the goroutine
		return 0, context.Cause(ctx)
	}
}

// offerInput sends one piece, and sends it again to a daemon that went away in the middle: its offset says what of
// it has arrived.
func (c *cli) offerInput(ctx context.Context, ref task.Ref, req task.StdinRequest, data []byte) (task.StdinState, error) {
	deadline := c.now().Add(inputPatience)
	for {
		req.Data = bytes.NewReader(data)
		state, err := c.svc.Stdin(ctx, ref, req)
		if !unreachable(err) || !c.now().Before(deadline) {
			return state, err
		}
		select {
		case <-ctx.Done():
			return state, context.Cause(ctx)
		case <-time.After(inputPause):
		}
	}
}

// completeInput offers running tasks, then files.
func (c *cli) completeInput(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c.completeTasks(true, task.StatusRunning)(cmd, args, word)
}

// plural is "1 task" or "7 tasks".
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
