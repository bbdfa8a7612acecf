package batch

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unicode/utf8"

	"durable/daemon/job/command"
)

// window is how many batches one that runs may be ahead of the first that has not ended, for each that runs at the same time.
const window = 64

// work runs batches until there is none left.
func (a *attempt) work(ctx context.Context) error {
	for {
		b, full, err := a.claim()
		if err != nil {
			return err
		}
		if err := a.record(); err != nil {
			return err
		}
		if b == nil {
			if !full || a.wait() {
				return nil
			}
			continue
		}
		if err := a.kind.hook("begun"); err != nil {
			return err
		}
		rec, err := a.process(ctx, b)
		if err != nil {
			return err
		}
		if err := a.kind.hook("ended"); err != nil {
			return err
		}
		if err := a.ended(b, rec); err != nil {
			return err
		}
		if err := a.pace(ctx, b); err != nil {
			return err
		}
	}
}

// batch is one that is under way.
type batch struct {
	index int64
	items []item
	rerun bool
	next  position
}

// claim takes the next batch and notes its beginning, which is durable after record. full: there is one, but not yet.
func (a *attempt) claim() (b *batch, full bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.ending == nil {
		if a.next >= a.st.Head+int64(*a.p.Parallelism)*window {
			return nil, true, nil
		}
		items, err := nextBatch(a.items, *a.p.BatchSize, a.p.limit())
		if err == io.EOF {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		n := a.next
		a.next++
		e := a.entry(n)
		e.next, e.came = a.items.position(), true
		if e.length > 0 {
			continue // an earlier attempt has recorded its end
		}
		b := &batch{n, items, e.begun > 0, e.next}
		e.begun = a.j.Attempt()
		line, err := beginning(n, e.begun)
		if err == nil {
			_, err = a.log.append(line)
		}
		return b, false, err
	}
	return nil, false, nil
}

// beginning is the line that says that a batch is about to be run.
func beginning(n int64, attempt int) ([]byte, error) {
	return fmt.Appendf(nil, "{\"batch\":%d,\"begun\":%d}\n", n, max(attempt, 1)), nil
}

// record returns when what was noted is durable, and brings the output up to date.
func (a *attempt) record() error {
	if err := a.log.sync(); err != nil {
		return err
	}
	if err := a.kind.hook("recorded"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.settle(); err != nil {
		return err
	}
	if time.Since(a.saved) < a.kind.checkpointEvery {
		return nil
	}
	return a.checkpoint(a.log.size >= a.kind.segmentSize)
}

// wait waits until there may be another batch. It reports true if all is over.
func (a *attempt) wait() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.ending == nil && a.next >= a.st.Head+int64(*a.p.Parallelism)*window {
		a.room.Wait()
	}
	return a.ending != nil
}

// maxTold is how many failures the log names.
const maxTold = 100

// ended notes the end of a batch, which is durable after record.
func (a *attempt) ended(b *batch, rec *record) error {
	line, err := rec.line()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !rec.OK {
		if a.told++; a.told <= maxTold {
			a.j.Logf("batch %d failed: %s", rec.Batch, command.Mask(rec.reason()))
		} else if a.told == maxTold+1 {
			a.j.Logf("more batches failed: see %s", outputName)
		}
		if a.p.OnError == onErrorStop {
			if a.stopped == nil || rec.Batch < a.stopped.Batch {
				a.stopped = rec
			}
			if a.ending == nil {
				a.ending = errStopped
			}
			a.room.Broadcast()
			return nil
		}
	}
	at, err := a.log.append(line)
	if err != nil {
		return err
	}
	e := a.entry(b.index)
	e.at, e.length, e.failed, e.rerun = at, int64(len(line)), !rec.OK, rec.Rerun
	a.st.Ended++
	return nil
}

var errStopped = fmt.Errorf("a batch failed")

// pace pauses after a batch, unless it was the last.
func (a *attempt) pace(ctx context.Context, b *batch) error {
	if a.p.delay() == 0 || b.next.Item >= a.st.Total {
		return nil
	}
	if err := a.record(); err != nil {
		return err
	}
	return sleep(ctx, a.p.delay())
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pauses before a batch is tried again.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

// process runs a batch to its end: with its retries. An error is that the attempt was broken off.
func (a *attempt) process(ctx context.Context, b *batch) (*record, error) {
	began := time.Now()
	pause := firstPause
	for try := 1; ; try++ {
		rec := newRecord(b.index, b.items, *a.p.BatchSize == 1)
		rec.Rerun = b.rerun
		if len(a.p.Command) == 0 {
			rec.OK = true
			return &rec, nil
		}
		if a.p.Retries > 0 {
			rec.Attempts = try
		}
		if err := a.once(ctx, b, &rec); err != nil {
			return nil, err
		}
		if rec.OK || try > a.p.Retries {
			rec.took(time.Since(began))
			return &rec, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, mostPause)
	}
}

// once runs the command for a batch.
func (a *attempt) once(ctx context.Context, b *batch, rec *record) error {
	file, err := a.file(b)
	if err != nil {
		return err
	}
	if file != "" {
		defer func() { _ = os.Remove(file) }()
	}
	index := "DURABLE_BATCH=" + strconv.FormatInt(b.index, 10)
	p := program{
		path: a.program.Path(), args: a.tmpl.fill(b.index, b.items, file), dir: a.program.Dir(),
		env: append(a.env[:len(a.env):len(a.env)], index), marks: []string{a.mark(), index},
		timeout: time.Duration(a.p.Timeout), grace: time.Duration(a.p.Grace),
	}
	if a.p.Stdin != asNone && !a.tmpl.file {
		p.stdin = lines(b.items, a.p.Stdin)
	}
	stdout, stderr := &bounds{limit: a.p.OutputLimit}, &bounds{limit: maxStderr, tail: true}
	err = a.fork.program(ctx, p, stdout, stderr)
	if describe(rec, err) {
		return err
	}
	rec.setOutput(stdout, stderr)
	return nil
}

// file writes the batch into a file where the command wants one.
func (a *attempt) file(b *batch) (string, error) {
	if !a.tmpl.file {
		return "", nil
	}
	h := a.p.Stdin
	if h == asNone {
		h = a.p.Format.handover()
	}
	path := filepath.Join(a.files, strconv.FormatInt(b.index, 10)+"."+string(h))
	return path, recordError(os.WriteFile(path, lines(b.items, h), 0o600))
}

// mark is in the environment of all processes of the task.
func (a *attempt) mark() string { return "DURABLE_BATCH_TASK=" + string(a.j.ID()) }

// environment is that of the commands, but for the number of the batch.
func (a *attempt) environment(ctx context.Context) []string {
	t := a.j.Task()
	return append(a.kind.programs.Environ(ctx, a.program),
		"DURABLE_TASK_ID="+string(t.ID),
		"DURABLE_TASK_NUMBER="+strconv.FormatUint(t.Number, 10),
		"DURABLE_ATTEMPT="+strconv.Itoa(t.Attempt),
		a.mark(),
	)
}

// validText makes text that can be encoded of what a command has written.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}
