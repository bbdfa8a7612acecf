// Package demo tells the whole story of durable on real data, with the real programs: a job that is started over
// MCP outlives the app that asked for it and the daemon that runs it, and loses nothing. It plays the app itself.
//
// # Design
//
// Nothing in it is staged. The file is made, the programs are the ones beside this executable, the kills are
// SIGKILL, and each sentence that claims something stands behind a check that fails the demonstration. Nothing
// sleeps in the job: so that there is a middle in which to kill it, it is given batches of a size that suits this
// machine's disk ([batchSize]). Where it is done all the same before it could be interrupted, that is said, and the
// story begins anew with more data. The last word has not the job but [compare], which reads both files and
// shares no code with it.
//
// The JSON-RPC client is our own sixty lines (host.go): durablectl must not link an MCP SDK, and a raw pipe
// is what a host has. CSV and JSON are encoding/csv and encoding/json. Rejected: SQLite as the destination,
// which a second opinion could not read without the driver that is on trial.
package demo

import (
	"context"
	"errors"
	"io"
	"time"

	"durable/cmd/durablectl/internal/render"
	"durable/cmd/durablectl/internal/sandbox"
	"durable/ipc/client"
	"durable/ipc/task"
)

// Rows, by default, and at most: the comparison keeps a hash for each in memory.
const (
	DefaultRows = 200_000
	MinRows     = 1000
	MaxRows     = 5_000_000
)

// Options of a demonstration.
type Options struct {
	Rows int
	// Keep leaves the folder where it is.
	Keep   bool
	Out    io.Writer
	Screen render.Screen
	// Pace is how long a reader has between scenes; 0 is none.
	Pace time.Duration
	// Watch shows a task's progress; done ends it.
	Watch func() (show func(time.Time, task.Summary), done func())
}

// tries is how often a story is begun, growth how many times more rows each has than the one before.
const (
	tries  = 4
	growth = 4
)

// errTooFast: the job was done before it could be interrupted.
var errTooFast = errors.New("the job was done before it could be interrupted")

// Run tells the story and returns nil only if each claim in it was checked.
func Run(ctx context.Context, o Options) error {
	if o.Rows < MinRows || o.Rows > MaxRows {
		return task.Errorf(task.InvalidArgument, "--rows %d: want %d to %d", o.Rows, MinRows, MaxRows)
	}
	st := &stage{out: o.Out, screen: o.Screen, pace: o.Pace}
	st.title("durable: work that outlives the program that asked for it")
	for try := 1; ; try++ {
		err := tell(ctx, st, o)
		if err == nil {
			return st.err
		}
		if !errors.Is(err, errTooFast) {
			return err
		}
		if try == tries || o.Rows == MaxRows {
			return task.Errorf(task.FailedPrecondition, "%w, with %s rows too", err, render.Count(int64(o.Rows))).
				WithHint("nothing was found wrong: set TMPDIR to a folder on a slower disk, so that the job has a middle")
		}
		o.Rows = min(MaxRows, o.Rows*growth)
		st.event("This machine was too quick: %s. So again, with %s rows.", err, render.Count(int64(o.Rows)))
		st.scenes = 0
	}
}

// story is one telling.
type story struct {
	*stage
	o   Options
	box *sandbox.Sandbox
	svc *client.Client
	app *host // nil while none runs

	batch int
	id    task.ID
	// first is how far the task was when the app died, at firstAt.
	first   task.Progress
	firstAt time.Time
}

func tell(ctx context.Context, st *stage, o Options) (err error) {
	box, err := sandbox.New("")
	if err != nil {
		return err
	}
	s := &story{stage: st, o: o, box: box, svc: box.Client("durablectl demo")}
	defer func() { err = s.end(ctx, err) }()
	for _, scene := range []func(context.Context) error{
		s.data, s.ask, s.killApp, s.reconnect, s.killDaemon, s.comeBack, s.finish, s.prove,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// end leaves nothing behind: no process, and no folder unless it is to be kept. It returns err, or its own.
func (s *story) end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		s.print("\n")
		s.event("Interrupted: cleaning up.")
	}
	if s.app != nil {
		s.app.close()
	}
	_ = s.svc.Close()
	endErr := s.box.Close(ctx, s.o.Keep)
	switch {
	case endErr == nil:
		return err
	case err == nil:
		return endErr
	}
	return errors.Join(err, endErr)
}
