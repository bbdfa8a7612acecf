package batch

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/ipc/atomicfile"
	"durable/ipc/task"
)

// attempt is one call of Run.
type attempt struct {
	kind  *Kind
	j     *job.Context
	began time.Time

	p       params
	program command.Program
	tmpl    template
	env     []string

	dir, artifacts, files string
	path                  string // what is read, and its format
	form                  format

	out, failed *output
	log         *journal
	fork        *forker
	cancel      context.CancelCauseFunc

	mu      sync.Mutex
	room    *sync.Cond // head has moved on, or all is over
	st      state
	saved   time.Time
	resumed int64
	before  task.Duration // the time that earlier attempts took
	items   reader
	next    int64            // the batch that is read next
	live    map[int64]*entry // from st.Head on
	ending  error            // no batch is begun any more
	stopped *record          // the batch that on_error=stop stopped at
	told    int              // failures in the log
}

// entry is what is known of a batch that is not in the output.
type entry struct {
	begun        int   // by that attempt; 0: by none
	at, length   int64 // of its end in the journal; 0: it has none
	failed, came bool  // came: next is known
	rerun        bool
	next         position
}

// Names in the task's work folder.
const (
	checkpointFolder = "checkpoint" // what a repetition of the task gets a copy of
	filesFolder      = "batches"
	globName         = "items.jsonl"
)

// prepare finds out what the attempt has to do, and where the last one was.
func (a *attempt) prepare(ctx context.Context) error {
	if err := a.j.Params(&a.p); err != nil {
		return err
	}
	work, err1 := a.j.WorkDir()
	artifacts, err2 := a.j.ArtifactsDir()
	a.artifacts, a.dir, a.files = artifacts, filepath.Join(work, checkpointFolder), filepath.Join(work, filesFolder)
	if err := errors.Join(err1, err2, os.MkdirAll(a.dir, 0o700), os.RemoveAll(a.files)); err != nil {
		return recordError(err)
	}
	if err := a.prepareCommand(ctx); err != nil {
		return err
	}
	a.path, a.form = a.p.Input, a.p.Format
	if a.form == formatGlob {
		a.path, a.form = filepath.Join(a.dir, globName), formatJSONL
	}
	found, err := a.j.Load(&a.st)
	if err != nil {
		return err
	}
	if !found {
		return a.survey(ctx)
	}
	a.before, a.resumed = a.st.Elapsed, a.st.At.Item
	return a.unchanged()
}

// prepareCommand finds the command again, and ends what an earlier attempt has left running: it must not go on beside its rerun.
func (a *attempt) prepareCommand(ctx context.Context) error {
	if len(a.p.Command) == 0 {
		return nil
	}
	var err error
	if a.program, err = a.kind.programs.Recall(ctx, a.j, a.p.Request); err != nil {
		return job.Permanent(err)
	}
	if a.tmpl, err = compile(a.program.Args()); err != nil {
		return err
	}
	if a.tmpl.file {
		if err := os.MkdirAll(a.files, 0o700); err != nil {
			return recordError(err)
		}
	}
	a.env = a.environment(ctx)
	if n := killLeft([]string{a.mark()}); n > 0 {
		a.j.Logf("ended %d processes that an earlier attempt had left running", n)
	}
	return nil
}

// survey counts the items, and meets every malformed one before anything is run.
func (a *attempt) survey(ctx context.Context) error {
	var err error
	if a.p.Format == formatGlob {
		err = a.list()
	}
	st := state{Segment: 1, Head: 1, Total: a.p.limit()}
	if err == nil && a.form != formatNumbers {
		if st.Source, err = fingerprintOf(a.path); err == nil {
			st.Total, err = a.count(ctx)
		}
	}
	if err != nil {
		return err
	}
	if st.Total == 0 {
		return invalid("input: %s: no items in it", a.p.Input).WithHint("empty lines are none")
	}
	a.st = st
	if err := a.unchanged(); err != nil {
		return err
	}
	if err := a.kind.hook("surveyed"); err != nil {
		return err
	}
	return a.j.Checkpoint(a.st)
}

func (a *attempt) count(ctx context.Context) (int64, error) {
	r, err := openItems(a.form, a.path, position{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.close() }() // nothing was written
	for {
		_, err := nextBatch(r, *a.p.BatchSize, a.p.limit())
		switch {
		case err == io.EOF:
			return min(r.position().Item, a.p.limit()), nil
		case err != nil:
			return 0, err
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		}
	}
}

// list writes down the files that the pattern stands for: they are the same for all attempts.
func (a *attempt) list() error {
	files, err := matches(a.p.Input)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, path := range files {
		text.Write(textItem(path))
		text.WriteByte('\n')
	}
	f, err := os.Create(a.path)
	if err != nil {
		return recordError(err)
	}
	_, err = f.WriteString(text.String())
	return recordError(errors.Join(err, f.Sync(), f.Close(), atomicfile.SyncDir(a.dir)))
}

// unchanged refuses an input that is not what it was.
func (a *attempt) unchanged() error {
	if a.form == formatNumbers {
		return nil
	}
	now, err := fingerprintOf(a.path)
	if a.p.Format == formatGlob {
		now.ModTime = a.st.Source.ModTime // a copy, for a repetition of the task, is as good
	}
	if err == nil && now != a.st.Source {
		err = changed(a.p.Input)
	}
	return err
}
