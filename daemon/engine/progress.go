package engine

import (
	"context"
	"math"
	"sync"
	"time"

	"durable/daemon/store"
	"durable/ipc/task"
)

// progressBook keeps the latest report of each running attempt. Readers see it at once; the store gets
// all that changed in one transaction a second.
type progressBook struct {
	later func() // asks for a flush, FlushInterval from now; called with mu held

	mu      sync.Mutex
	entries map[task.ID]*progressEntry
	asked   bool // a flush is on its way
	timer   *time.Timer
}

type progressEntry struct {
	attempt int
	latest  task.Progress
	dirty   bool
	speed   speedometer
}

func newProgressBook(flush func()) *progressBook {
	return &progressBook{entries: map[task.ID]*progressEntry{}, later: flush}
}

// begin opens the entry of a new attempt, with what the task had reached before.
func (b *progressBook) begin(t task.Task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := t.Progress
	p.Rate, p.ETA = 0, nil
	b.entries[t.ID] = &progressEntry{attempt: t.Attempt, latest: p}
}

func (b *progressBook) forget(id task.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, id)
}

// report takes a job's report and returns the event that tells of it. t has the phase that the attempt is in.
func (b *progressBook) report(t task.Task, p task.Progress) task.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now()
	if math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0) {
		p.Rate = 0 // a job's n/0, which JSON cannot carry
	}
	if e := b.entries[t.ID]; e != nil && e.attempt == t.Attempt {
		e.speed.complete(&p, at)
		e.latest, e.dirty = p, true
		if !b.asked {
			b.asked = true
			b.timer = time.AfterFunc(FlushInterval, b.later)
		}
	}
	t.Status, t.Progress = task.StatusRunning, p
	return task.Event{Time: at, Type: task.EventProgress, TaskID: t.ID, Task: t.Summary()}
}

// current returns the latest progress of t's attempt, or what t itself says.
func (b *progressBook) current(t task.Task) task.Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[t.ID]; e != nil && e.attempt == t.Attempt {
		return e.latest
	}
	return t.Progress
}

// overlay returns t as it is now: the store's copy may be a second old.
func (b *progressBook) overlay(t task.Task) task.Task {
	if t.Status == task.StatusRunning {
		t.Progress = b.current(t)
	}
	return t
}

// takeDirty returns what changed since the last call.
func (b *progressBook) takeDirty() map[task.ID]progressEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = false
	changed := map[task.ID]progressEntry{}
	for id, e := range b.entries {
		if e.dirty {
			e.dirty = false
			changed[id] = *e
		}
	}
	return changed
}

func (b *progressBook) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}

// flushLater is called by the book's timer.
func (e *Engine) flushLater() { e.spawn(e.flush) }

// flush stores the progress of all tasks that reported any. A failure is no loss worth a word: the next
// flush, checkpoint or ending carries it; one that the store cannot settle ends the engine in update.
func (e *Engine) flush() {
	changed := e.live.takeDirty()
	if len(changed) == 0 {
		return
	}
	_ = e.update(context.Background(), store.Essential, func(tx *store.Tx) error {
		for id, entry := range changed {
			rec, err := tx.Task(id)
			if err != nil || rec.Task.Status != task.StatusRunning || rec.Task.Attempt != entry.attempt {
				continue // ended meanwhile, and its ending had the last word
			}
			rec.Task.Progress = entry.latest
			rec.Task.UpdatedAt = now()
			if err := tx.Put(rec, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// speedWindow is the time constant of the average that rate and ETA come from.
const speedWindow = 10 * time.Second

// leastWeight is that of a second: before that nothing is said of the rate, nor of the time left.
var leastWeight = 1 - math.Exp(-1/speedWindow.Seconds())

// speedometer computes an exponentially weighted rate from reports that come at any interval.
type speedometer struct {
	at     time.Time
	done   int64
	rate   float64
	weight float64 // of the samples so far: corrects the average's start at zero
}

// complete fills in rate and ETA where the job left them out.
func (s *speedometer) complete(p *task.Progress, at time.Time) {
	rate := s.sample(p.Done, at)
	if p.Rate == 0 {
		p.Rate = math.Round(rate*10) / 10
	}
	if p.ETA == nil && p.Total != nil && p.Rate > 0 && *p.Total >= p.Done {
		left := float64(*p.Total-p.Done) / p.Rate
		if left < (1000 * 24 * time.Hour).Seconds() {
			eta := task.Duration(time.Duration(left * float64(time.Second)).Round(time.Second))
			p.ETA = &eta
		}
	}
}

func (s *speedometer) sample(done int64, at time.Time) float64 {
	if s.at.IsZero() || done < s.done {
		*s = speedometer{at: at, done: done}
		return 0
	}
	if dt := at.Sub(s.at).Seconds(); dt >= 0.05 {
		alpha := 1 - math.Exp(-dt/speedWindow.Seconds())
		s.rate += alpha * (float64(done-s.done)/dt - s.rate)
		s.weight += alpha * (1 - s.weight)
		s.at, s.done = at, done
	}
	if s.weight < leastWeight { // the gap between two reports says little of those to come
		return 0
	}
	return s.rate / s.weight
}
