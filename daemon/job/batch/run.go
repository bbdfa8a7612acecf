package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// run does what is left of the work.
func (a *attempt) run(ctx context.Context) (any, error) {
	err := a.open()
	defer a.close()
	if err == nil {
		err = a.resume()
	}
	if err != nil {
		return nil, err
	}
	a.report()
	var inner context.Context
	inner, a.cancel = context.WithCancelCause(ctx)
	defer a.cancel(nil)
	defer context.AfterFunc(inner, func() { a.end(context.Cause(inner)) })()
	a.fork = newForker()
	var workers sync.WaitGroup
	for range *a.p.Parallelism {
		workers.Go(func() {
			if err := a.work(inner); err != nil {
				a.end(err)
				a.cancel(err)
			}
		})
	}
	workers.Wait()
	a.fork.close()
	return a.finish(ctx)
}

// open opens the files of the task as the checkpoint has them.
func (a *attempt) open() (err error) {
	a.live, a.room = map[int64]*entry{}, sync.NewCond(&a.mu)
	if a.out, err = openOutput(a.dir, a.artifacts, outputName, a.st.Output); err != nil {
		return err
	}
	if a.failed, err = openOutput(a.dir, a.artifacts, failedName, a.st.Failed); err != nil {
		return err
	}
	a.log, err = openJournal(a.dir, a.st.Segment)
	return err
}

func (a *attempt) close() {
	for _, o := range []*output{a.out, a.failed} {
		if o != nil {
			_ = o.f.Close() // what had to be durable was synced
		}
	}
	if a.log != nil {
		_ = a.log.close()
	}
	if a.items != nil {
		_ = a.items.close()
	}
	_ = os.RemoveAll(a.files)
}

// resume brings the attempt to where the last one was: by the checkpoint, and the journal since then.
func (a *attempt) resume() error {
	a.removeSegments()
	last, known := int64(0), a.st.Head-1
	err := a.log.replay(func(at, length int64, rec record) error {
		if rec.Batch < a.st.Head {
			return nil
		}
		e := a.entry(rec.Batch)
		if rec.Begun > 0 {
			e.begun = rec.Begun
			return nil
		}
		if e.length == 0 {
			known++
		}
		e.at, e.length, e.failed, e.rerun = at, length, !rec.OK, rec.Rerun
		last = max(last, rec.Batch)
		return nil
	})
	if err == nil {
		err = a.log.sync()
	}
	if err != nil {
		return err
	}
	if err := a.place(last); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.settle(); err != nil {
		return err
	}
	a.resumed = a.st.At.Item
	if known > a.st.Ended {
		a.st.Ended = known
		if err := a.checkpoint(true); err != nil {
			return err
		}
	}
	a.saved = time.Now()
	a.next = a.st.Head
	if a.items != nil {
		_ = a.items.close()
	}
	a.items, err = openItems(a.form, a.path, a.st.At)
	return err
}

// place finds where the batches up to last end in the input.
func (a *attempt) place(last int64) error {
	if last < a.st.Head {
		return nil
	}
	var err error
	if a.items, err = openItems(a.form, a.path, a.st.At); err != nil {
		return err
	}
	for n := a.st.Head; n <= last; n++ {
		if _, err := nextBatch(a.items, *a.p.BatchSize, a.p.limit()); err != nil {
			return fmt.Errorf("find batch %d in the input again: %w", n, err)
		}
		if e := a.live[n]; e != nil {
			e.next, e.came = a.items.position(), true
		}
	}
	return nil
}

func (a *attempt) entry(n int64) *entry {
	e := a.live[n]
	if e == nil {
		e = &entry{}
		a.live[n] = e
	}
	return e
}

// removeSegments removes what a crash has left of a change of segments.
func (a *attempt) removeSegments() {
	found, _ := filepath.Glob(filepath.Join(a.dir, "journal-*"))
	for _, path := range found {
		if filepath.Base(path) != segmentName(a.st.Segment) {
			_ = os.Remove(path)
		}
	}
}

// end has no further batch begun.
func (a *attempt) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending == nil {
		a.ending = err
	}
	a.room.Broadcast()
}

// settle moves batches whose end is durable from the journal into the output, in order. a.mu is held.
func (a *attempt) settle() error {
	durable := a.log.durable()
	moved := false
	for {
		e := a.live[a.st.Head]
		if e == nil || e.length == 0 || !e.came || e.at+e.length > durable {
			break
		}
		line, err := a.log.read(e.at, e.length)
		if err != nil {
			return err
		}
		if err := a.out.write(line); err != nil {
			return err
		}
		if e.failed {
			if err := a.fail(line); err != nil {
				return err
			}
		}
		if e.rerun {
			a.st.Reruns++
		}
		delete(a.live, a.st.Head)
		a.st.Head++
		a.st.At, moved = e.next, true
	}
	if moved {
		a.report()
		a.room.Broadcast()
	}
	return nil
}

// fail puts the items of a failed batch where a later call can take them from.
func (a *attempt) fail(line []byte) error {
	rec, whole := parse(line)
	if !whole {
		return fmt.Errorf("batch %d: its record cannot be read again", a.st.Head)
	}
	items := rec.all()
	a.st.FailedBatches++
	a.st.FailedItems += int64(len(items))
	if a.st.FirstError == "" {
		a.st.FirstError = fmt.Sprintf("batch %d: %s", rec.Batch, rec.reason())
	}
	return a.failed.write(lines(items, asJSONL))
}

// report tells how far the task is. a.mu is held, or nobody else is there yet.
func (a *attempt) report() {
	done, total := a.st.At.Item, a.st.Total
	a.j.Progress(task.Progress{
		Done: done, Total: &total, Unit: "items", Message: fmt.Sprintf("Processed %d/%d items", done, total),
	})
}

// checkpoint makes durable what the output has, and what the journal has since. a.mu is held.
func (a *attempt) checkpoint(rotate bool) error {
	if err := a.flush(); err != nil {
		return err
	}
	var old *os.File
	if rotate {
		content, moved, err := a.carry()
		if err != nil {
			return err
		}
		if old, err = a.log.rotate(content); err != nil {
			return err
		}
		defer func() { _ = old.Close() }()
		for n, at := range moved {
			a.live[n].at = at
		}
	}
	a.st.Segment, a.st.Output, a.st.Failed = a.log.segment, a.out.size, a.failed.size
	a.st.Elapsed = a.before + task.Duration(time.Since(a.began))
	if err := a.kind.hook("checkpoint"); err != nil {
		return err
	}
	if err := a.j.Checkpoint(a.st); err != nil {
		return err
	}
	a.saved = time.Now()
	if old != nil {
		if err := a.kind.hook("rotated"); err != nil {
			return err
		}
		_ = os.Remove(old.Name()) // removeSegments does it otherwise
	}
	return nil
}

// flush makes both outputs durable.
func (a *attempt) flush() error {
	for _, o := range []*output{a.out, a.failed} {
		if err := o.flush(); err != nil {
			return err
		}
		if err := datasync(o.f); err != nil {
			return recordError(err)
		}
	}
	return nil
}

// carry returns what a new segment of the journal begins with, and where the ends in it are. a.mu is held.
func (a *attempt) carry() (content []byte, moved map[int64]int64, err error) {
	moved = map[int64]int64{}
	for n, e := range a.live {
		if e.begun > 0 {
			line, err := beginning(n, e.begun)
			if err != nil {
				return nil, nil, err
			}
			content = append(content, line...)
		}
		if e.length == 0 {
			continue
		}
		line, err := a.log.read(e.at, e.length)
		if err != nil {
			return nil, nil, err
		}
		moved[n] = int64(len(content))
		content = append(content, line...)
	}
	return content, moved, nil
}

// finish is the end of the attempt: whatever it was, what was done is kept.
func (a *attempt) finish(ctx context.Context) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.ending
	if errors.Is(err, job.ErrFenced) || errors.Is(context.Cause(ctx), job.ErrFenced) {
		return nil, job.ErrFenced // the files are another attempt's
	}
	if keep := a.keep(); keep != nil {
		return nil, keep
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if a.stopped != nil {
		return nil, errors.Join(a.showStopped(), a.stoppedError())
	}
	if err != nil {
		return nil, err
	}
	if err := a.unchanged(); err != nil {
		return nil, err
	}
	if err := errors.Join(a.out.publish(a.artifacts), a.failed.publish(a.artifacts)); err != nil {
		return nil, err
	}
	if a.st.FailedBatches == a.st.Head-1 {
		return nil, task.Errorf(task.FailedPrecondition, "all %d batches failed; %s", a.st.FailedBatches, a.st.FirstError).
			WithHint("output.jsonl of the task has what each of them said; a fresh retry runs them all again")
	}
	return a.result(), nil
}

// keep makes durable what there is.
func (a *attempt) keep() error {
	if err := a.log.sync(); err != nil {
		return err
	}
	if err := a.settle(); err != nil {
		return err
	}
	return a.checkpoint(a.log.size > 0)
}

// showStopped puts the batch that stopped the task behind what the output has. The next attempt cuts it off, and begins with it.
func (a *attempt) showStopped() error {
	line, err := a.stopped.line()
	if err == nil {
		err = a.out.write(line)
	}
	if err == nil {
		err = a.failed.write(lines(a.stopped.all(), asJSONL))
	}
	if err == nil {
		err = a.flush()
	}
	return errors.Join(err, a.out.publish(a.artifacts), a.failed.publish(a.artifacts))
}

func (a *attempt) stoppedError() error {
	return task.Errorf(task.Unavailable, "batch %d failed: %s", a.stopped.Batch, a.stopped.reason()).
		WithDetail("batch", a.stopped.Batch).
		WithHint("a retry of the task begins with that batch; on_error=continue goes on with the others")
}

// reason is why a batch has failed, with what its command said last.
func (r *record) reason() string {
	text := strings.TrimSpace(r.Stderr)
	if text = text[strings.LastIndexByte(text, '\n')+1:]; text == "" {
		return r.Error
	}
	return r.Error + ": " + text[:min(len(text), 200)]
}

func (a *attempt) result() result {
	r := result{
		Processed: a.st.At.Item, Total: a.st.Total, BatchSize: *a.p.BatchSize, Delay: *a.p.Delay, Success: a.st.FailedBatches == 0,
		Batches: a.st.Head - 1, FailedItems: a.st.FailedItems, FailedBatches: a.st.FailedBatches, FirstError: a.st.FirstError,
		Reruns: a.st.Reruns, ResumedFrom: a.resumed, Duration: seconds(time.Duration(a.before) + time.Since(a.began)), Output: outputName,
	}
	if r.FailedBatches > 0 {
		r.Failed = failedName
	}
	return r
}
