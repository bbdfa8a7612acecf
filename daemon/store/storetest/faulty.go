package storetest

import (
	"context"
	"errors"
	"sync"

	"durable/daemon/store"
	"durable/ipc/task"
)

// Fault is something that goes wrong with one call of Update.
type Fault int

const (
	// Lost: the commit fails and nothing of it is on disk. The caller is told that the outcome is unknown,
	// and the store has failed.
	Lost Fault = iota + 1
	// Kept: the commit fails after it has reached the disk. The caller cannot tell it from Lost.
	Kept
	// NoSpace: the disk is full from this call on, until [Faulty.Drain].
	NoSpace
)

// errInjected is what a failed Faulty gives as the reason.
var errInjected = errors.New("injected: input/output error")

// Faulty is a real store whose updates go wrong where a test says so. Its other methods are those of the
// store. Methods may be called from any goroutine.
type Faulty struct {
	*store.Store

	mu     sync.Mutex
	calls  int
	plan   map[int]Fault
	full   bool
	failed chan struct{}
	err    error
}

// NewFaulty returns s with nothing wrong with it yet.
func NewFaulty(s *store.Store) *Faulty {
	return &Faulty{Store: s, plan: map[int]Fault{}, failed: make(chan struct{})}
}

// At makes the nth call of Update from now on go wrong; 1 is the next.
func (f *Faulty) At(n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan[f.calls+n] = fault
}

// Calls returns how often Update was called.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Drain makes room on the full disk.
func (f *Faulty) Drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = false
}

// next counts a call and says what is to happen to it.
func (f *Faulty) next() (fault Fault, full bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	fault = f.plan[f.calls]
	if fault == NoSpace {
		f.full = true
	}
	return fault, f.full, f.err
}

// Update implements the store's.
func (f *Faulty) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	fault, full, err := f.next()
	switch {
	case err != nil:
		return task.Errorf(task.Unavailable, "the store has failed: %w", err)
	case fault == Lost:
		return f.fail()
	case fault == Kept:
		if err := f.Store.Update(ctx, class, fn); err != nil {
			return err
		}
		return f.fail()
	case full && class == store.Admission:
		return task.Errorf(task.ResourceExhausted, "injected: the disk is full")
	}
	return f.Store.Update(ctx, class, fn)
}

func (f *Faulty) fail() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = errInjected
		close(f.failed)
	}
	return task.OutcomeUnknown(f.err)
}

// View implements the store's: nothing is shown once it has failed.
func (f *Faulty) View(fn func(*store.Tx) error) error {
	if err := f.Err(); err != nil {
		return task.Errorf(task.Unavailable, "the store has failed: %w", err)
	}
	return f.Store.View(fn)
}

// Failed implements the store's.
func (f *Faulty) Failed() <-chan struct{} { return f.failed }

// Err implements the store's.
func (f *Faulty) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Full implements the store's.
func (f *Faulty) Full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full || f.Store.Full()
}
