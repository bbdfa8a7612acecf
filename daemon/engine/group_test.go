package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/store"
	"durable/ipc/task"
)

// pairStore has the next two essential changes share one transaction, as the committer does with what waits for it.
type pairStore struct {
	*store.Store
	mu     sync.Mutex
	armed  bool
	first  func(*store.Tx) error
	waits  chan struct{} // closed when the first one is there
	paired chan error    // what became of both, for the first one
}

func (s *pairStore) Update(ctx context.Context, class store.Class, fn func(*store.Tx) error) error {
	s.mu.Lock()
	if !s.armed || class != store.Essential {
		s.mu.Unlock()
		return s.Store.Update(ctx, class, fn)
	}
	first := s.first
	if first == nil {
		s.first = fn
		close(s.waits)
		s.mu.Unlock()
		return <-s.paired
	}
	s.armed = false
	s.mu.Unlock()
	err := s.Store.Update(ctx, class, func(tx *store.Tx) error { return errors.Join(first(tx), fn(tx)) })
	s.paired <- err
	return err
}

// TestAClaimBesideAnEnd: the end of an attempt and a claim of what is ready share a transaction, and the task is ready again by that end. Its
// next attempt must be known to those who may end it, and must hold a slot.
func TestAClaimBesideAnEnd(t *testing.T) {
	again, interrupt := make(chan struct{}, 2), make(chan struct{})
	k := script{name: "k", run: func(ctx context.Context, j *job.Context) (any, error) {
		if j.Attempt() == 1 {
			<-interrupt
			return nil, job.Ended(task.OutcomeInterrupted, errors.New("it went down"))
		}
		again <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
	plain, _, release := hold("plain")
	h := newHouse(t, k, plain)
	h.slots = 2
	s := &pairStore{waits: make(chan struct{}), paired: make(chan error, 1)}
	h.wrap = func(real *store.Store) engine.Store { s.Store = real; return s }
	var once sync.Once
	claiming := make(chan struct{}) // closed when the claim that the end is to meet may be
	h.hook = func(point string) {
		if point != "start.before" {
			return
		}
		select {
		case <-claiming:
		default:
			return
		}
		once.Do(func() { // the claim waits until the end is there
			s.mu.Lock()
			s.armed = true
			s.mu.Unlock()
			close(interrupt)
			<-s.waits
		})
	}
	h.up()
	h.opened()
	ends := h.submit(task.Spec{Kind: "k"})
	h.submit(task.Spec{Kind: "plain"})
	h.submit(task.Spec{Kind: "plain"}) // is queued: there is something to claim
	close(claiming)
	release <- struct{}{} // a slot is free
	release <- struct{}{} // and the other one, by and by
	select {
	case <-again:
	case <-time.After(time.Minute):
		t.Fatalf("no second attempt: %+v", h.get(ends.ID))
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Active < 1 {
		t.Errorf("%d active, %v", s.Active, err)
	}
	if _, err := h.Cancel(t.Context(), ends.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Wait(t.Context(), ends.ID.Ref(), time.Minute); err != nil || got.Status != task.StatusCancelled {
		t.Errorf("after a cancel: %s, %v", got.Status, err)
	}
}
