package engine

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"durable/daemon/store"
	"durable/ipc/task"
)

// Retention says how much is kept of what has ended; 0 is no limit.
type Retention struct {
	Age   time.Duration
	Bytes int64
}

// tidyEvery is how often the engine prunes by itself at most, and only after something has ended: while nothing
// happens, nothing is looked for.
const tidyEvery = time.Hour

// pruneBatch bounds how many tasks one transaction removes.
const pruneBatch = 64

// tidier prunes by itself: at the start, and after endings.
type tidier struct {
	pruning sync.Mutex // one at a time

	mu    sync.Mutex
	last  time.Time
	timer *time.Timer // armed: a prune will follow
	over  bool
}

// tidyLater prunes now, or when the last time is long enough ago. It is cheap to call at each ending.
func (e *Engine) tidyLater() {
	if e.cfg.Retention == nil {
		return
	}
	t := &e.tidy
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil || t.over || t.last.IsZero() {
		return // it follows already, or Run has not come to the first one yet
	}
	wait := max(0, tidyEvery-time.Since(t.last))
	t.timer = time.AfterFunc(wait, func() { e.spawn(e.tidyUp) })
}

// tidyUp prunes as the configuration says.
func (e *Engine) tidyUp() {
	if e.cfg.Retention == nil {
		return
	}
	t := &e.tidy
	t.mu.Lock()
	t.last, t.timer = time.Now(), nil
	t.mu.Unlock()
	gone, err := e.prune(context.Background(), e.cfg.Retention(), false)
	switch {
	case err != nil:
		e.log.Warn("removing tasks that ended long ago", "error", err)
	case gone.Tasks > 0:
		e.log.Info("removed tasks that ended long ago", "tasks", gone.Tasks, "bytes", gone.Bytes)
	}
}

// endTidying lets no further prune begin.
func (e *Engine) endTidying() {
	t := &e.tidy
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// Prune implements task.Service.
func (e *Engine) Prune(ctx context.Context, req task.PruneRequest) (task.PruneResult, error) {
	if _, err := e.authorise(ctx); err != nil {
		return task.PruneResult{}, err
	}
	if req.OlderThan < 0 || req.MaxBytes < 0 {
		return task.PruneResult{}, task.Errorf(task.InvalidArgument, "prune: a limit is negative").
			WithHint("leave a limit out for that of the configuration")
	}
	var limits Retention
	if e.cfg.Retention != nil {
		limits = e.cfg.Retention()
	}
	if req.OlderThan > 0 {
		limits.Age = time.Duration(req.OlderThan)
	}
	if req.MaxBytes > 0 {
		limits.Bytes = req.MaxBytes
	}
	return e.prune(ctx, limits, req.DryRun)
}

// prune removes what is beyond limits. What it has removed when an error stops it is in the result.
func (e *Engine) prune(ctx context.Context, limits Retention, dry bool) (task.PruneResult, error) {
	e.tidy.pruning.Lock()
	defer e.tidy.pruning.Unlock()
	var result task.PruneResult
	doomed, err := e.beyond(limits)
	if err != nil {
		return result, err
	}
	for batch := range slices.Chunk(doomed, pruneBatch) {
		if err := ctx.Err(); err != nil {
			return result, task.Errorf(task.Unavailable, "prune: %w", err)
		}
		if e.leaving() && !dry {
			return result, errLeaving()
		}
		if !dry {
			if batch, err = e.removeBatch(ctx, batch); err != nil {
				return result, err
			}
		}
		for _, d := range batch {
			result.Tasks++
			result.Bytes += d.bytes
		}
	}
	return result, nil
}

// ended is a task that has ended, with what its folder takes.
type ended struct {
	id    task.ID
	at    time.Time
	bytes int64
}

// beyond returns the tasks that limits do not keep, the one that ended first in front.
func (e *Engine) beyond(limits Retention) ([]ended, error) {
	doomed := map[task.ID]ended{}
	if limits.Age > 0 {
		if err := e.tooOld(time.Now().Add(-limits.Age), doomed); err != nil {
			return nil, err
		}
	}
	if limits.Bytes > 0 {
		if err := e.tooLarge(limits.Bytes, doomed); err != nil {
			return nil, err
		}
	}
	list := make([]ended, 0, len(doomed))
	for _, d := range doomed {
		if d.bytes == 0 {
			d.bytes = folderSize(e.taskFolder(d.id))
		}
		list = append(list, d)
	}
	slices.SortFunc(list, byEnd)
	return list, nil
}

func byEnd(a, b ended) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) }

func (e *Engine) tooOld(before time.Time, doomed map[task.ID]ended) error {
	return e.store.View(func(tx *store.Tx) error {
		ids, err := tx.EndedBefore(before, math.MaxInt)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if rec := removable(tx, id); rec != nil {
				doomed[id] = ended{id: id, at: *rec.Task.CompletedAt}
			}
		}
		return nil
	})
}

// tooLarge adds the tasks that ended first, until the folders of the others take at most limit. Only
// tasks with a folder count: without one there is nothing to win.
func (e *Engine) tooLarge(limit int64, doomed map[task.ID]ended) error {
	all, total := e.sizes()
	err := e.store.View(func(tx *store.Tx) error {
		kept := all[:0]
		for _, d := range all {
			rec, err := tx.Task(d.id)
			if err != nil || !rec.Task.Status.Terminal() || rec.Task.CompletedAt == nil {
				total -= d.bytes // not ours to judge
				continue
			}
			d.at = *rec.Task.CompletedAt
			kept = append(kept, d)
		}
		all = kept
		slices.SortFunc(all, byEnd)
		for _, d := range all {
			if _, old := doomed[d.id]; old {
				doomed[d.id] = d
				total -= d.bytes
			}
		}
		for _, d := range all {
			if total <= limit {
				return nil
			}
			if _, old := doomed[d.id]; !old && removable(tx, d.id) != nil {
				doomed[d.id] = d
				total -= d.bytes
			}
		}
		return nil
	})
	return err
}

// sizes measures the folders of all tasks.
func (e *Engine) sizes() (all []ended, total int64) {
	entries, err := os.ReadDir(e.cfg.TasksDir)
	if err != nil {
		return nil, 0 // no folder yet
	}
	for _, entry := range entries {
		name := entry.Name()
		if kind, err := task.Ref(name).Parse(); err != nil || kind != task.RefID {
			continue
		}
		if n := folderSize(filepath.Join(e.cfg.TasksDir, name)); n > 0 {
			all = append(all, ended{id: task.ID(name), bytes: n})
			total += n
		}
	}
	return all, total
}

// removable returns the record of a task that may go: it has ended, and nothing unfinished goes on with its
// work. Nil: it stays.
func removable(tx *store.Tx, id task.ID) *store.Record {
	rec, err := tx.Task(id)
	if err != nil || !rec.Task.Status.Terminal() || rec.Task.CompletedAt == nil {
		return nil
	}
	if rec.Task.RetriedBy == "" {
		return rec
	}
	if next, err := tx.Task(rec.Task.RetriedBy); err == nil && !next.Task.Status.Terminal() {
		return nil
	}
	line, err := tx.List(task.ListQuery{Root: rec.Task.RootID, Status: task.Unfinished, Limit: 1})
	if err != nil || len(line.Tasks) > 0 {
		return nil
	}
	return rec
}

// removeBatch removes those of the tasks that may still go, and returns them.
func (e *Engine) removeBatch(ctx context.Context, batch []ended) ([]ended, error) {
	for _, d := range batch {
		if rec, err := e.record(d.id.Ref()); err == nil {
			e.clean(rec) // a last try, as in Forget
			e.markForgotten(rec.Task)
		}
	}
	var gone []ended
	err := e.update(ctx, store.Essential, func(tx *store.Tx) error {
		gone = nil
		for _, d := range batch {
			if removable(tx, d.id) == nil {
				continue
			}
			if err := tx.Delete(d.id); err != nil {
				return err
			}
			gone = append(gone, d)
		}
		return nil
	})
	if err == nil {
		e.cfg.Hook("forget.committed")
	}
	for _, d := range batch {
		if err != nil || !slices.Contains(gone, d) {
			e.unmark(d.id.Ref())
		}
	}
	if err != nil {
		return nil, err
	}
	var failed error
	for _, d := range gone {
		failed = errors.Join(failed, e.removeFolder(d.id))
	}
	return gone, failed
}
