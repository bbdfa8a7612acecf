package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	berrors "go.etcd.io/bbolt/errors"

	"durable/ipc/task"
)

// Bounds of what shares one transaction.
const (
	maxGroup      = 512
	maxGroupBytes = 8 << 20
)

// pruneEvery is how often a commit looks for events and keys that are too old.
const pruneEvery = time.Minute

// request is one call of Update on its way through the committer.
type request struct {
	class Class
	fn    func(*Tx) error
	err   error
	// settled: err is the answer, fn is not to be called (again).
	settled bool
	done    chan struct{}
}

// Update calls fn in a write transaction and returns after its commit is on disk. Calls that arrive while a
// commit is under way share the next one. fn may be called more than once and must change nothing but
// tx; it must not call View or Update. When fn returns an error, nothing of it remains and the others of
// its group are not harmed; the error is returned as it is. A panic of fn is an [task.Internal] error.
//
// Errors besides those of fn: [task.ResourceExhausted] when the disk is full, with nothing changed (for
// Essential too, when even the reserve does not suffice: try again); [task.OutcomeUnknown] when the
// commit failed; [task.Unavailable] when the store has failed before or is closed; ctx's own when it is
// done before the committer has taken the call up. After that, ctx is not looked at any more.
func (s *Store) Update(ctx context.Context, class Class, fn func(*Tx) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	r := &request{class: class, fn: fn, done: make(chan struct{})}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		if err := s.usable(); err != nil {
			return err
		}
		return errClosed()
	}
	<-r.done
	return r.err
}

// committer is the only writer. It ends when the store is closed or has failed.
func (s *Store) committer() {
	defer close(s.done)
	debug.SetPanicOnFault(true)
	var group []*request
	for {
		select {
		case r := <-s.requests:
			group = s.gather(append(group[:0], r))
			s.commit(group)
			for _, r := range group {
				close(r.done)
			}
			clear(group)
			runtime.Gosched() // those who were answered may be back with more (1.8 times the rate of 16)
		case <-s.damage.wake:
			s.setDamagedAside()
		case <-s.closing:
			return
		}
		if s.Err() != nil {
			return
		}
	}
}

// gather adds what waits already. Nobody is waited for: a lone caller has the commit for himself. In a crowd
// those who were just answered get one chance to come back first, or the crowd would go through in two
// halves, each waiting for the other's syncs (measured: 1.3 times the rate of 16 callers).
func (s *Store) gather(group []*request) []*request {
	yielded := false
	for len(group) < maxGroup {
		select {
		case r := <-s.requests:
			group = append(group, r)
		default:
			if yielded || len(group) == 1 {
				return group
			}
			runtime.Gosched()
			yielded = true
		}
	}
	return group
}

// commit settles every request of group, in as few transactions as it takes.
func (s *Store) commit(group []*request) {
	if s.Full() {
		s.reopenAdmission(group)
	}
	for len(group) > 0 {
		n := s.commitSome(group)
		group = group[n:]
	}
}

// commitSome runs requests from the front of group in one transaction and returns how many are settled.
func (s *Store) commitSome(group []*request) int {
	for {
		tx, err := s.begin()
		if err != nil {
			return s.giveUp(group, err)
		}
		n, redo := s.apply(tx, group)
		switch err := tx.broken; {
		case err != nil:
			s.abandon(tx)
			return s.giveUp(group, err)
		case redo:
			s.abandon(tx)
			continue
		case tx.writes == 0:
			s.abandon(tx)
			return n
		}
		err = s.finish(tx)
		switch {
		case err == nil:
			return n
		case isNoSpace(err) && !s.visible(tx):
			if s.makeRoom(group, err) {
				continue
			}
			return n
		default:
			return s.giveUp(group, err)
		}
	}
}

// apply calls the closures. redo: one failed after it had written, so the transaction is spoiled; its
// answer stands, the others are to be called again without it.
func (s *Store) apply(tx *Tx, group []*request) (n int, redo bool) {
	for _, r := range group {
		if tx.bytes > maxGroupBytes {
			break
		}
		n++
		if r.settled {
			continue
		}
		before := tx.writes
		r.err = contain(func() error { return r.fn(tx) })
		if s.isBroken(r.err) {
			tx.broken = r.err
			return n, false
		}
		if r.err != nil && tx.writes != before {
			r.settled = true
			return n, true
		}
	}
	return n, false
}

func (s *Store) begin() (*Tx, error) {
	b, err := s.db.Begin(true)
	if err != nil {
		return nil, err
	}
	st := s.st
	st.Clean = false
	return &Tx{s: s, b: b, id: int64(b.ID()), now: s.o.Now(), st: &st, scratch: new(scratch)}, nil
}

// abandon rolls back. bbolt may panic on a broken file, and then keeps its locks.
func (s *Store) abandon(tx *Tx) {
	if err := contain(tx.b.Rollback); err != nil && !errors.Is(err, berrors.ErrTxClosed) {
		s.stuck = true
	}
}

// finish commits: the counters, what has to be pruned, then the file.
func (s *Store) finish(tx *Tx) error {
	if err := contain(func() error { return s.complete(tx) }); err != nil {
		s.abandon(tx)
		return err
	}
	id := tx.id
	s.o.Hook(PointCommitBefore)
	s.committing.Lock()
	err := contain(func() error { return s.commitFunc(tx.b) })
	if err == nil {
		s.durable.Store(id)
	} else if !isNoSpace(err) || s.visible(tx) {
		s.fail(err) // before any view that has seen it can answer
	}
	s.committing.Unlock()
	if err != nil {
		s.abandon(tx)
		return err
	}
	s.st = *tx.st
	s.commits.Add(1)
	s.o.Hook(PointCommitSynced)
	s.o.OnCommit()
	return nil
}

// complete adds to tx what every transaction ends with.
func (s *Store) complete(tx *Tx) error {
	if s.prune || tx.now.Sub(s.lastPrune).Abs() >= pruneEvery || tx.overfull() {
		s.lastPrune = tx.now
		events, err := tx.pruneJournal()
		if err != nil {
			return err
		}
		keys, err := tx.pruneKeys()
		if err != nil {
			return err
		}
		s.prune = events || keys
	}
	return putState(tx.b, tx.st)
}

// giveUp settles everybody: it is not known what is on disk.
func (s *Store) giveUp(group []*request, err error) int {
	s.fail(err)
	for _, r := range group {
		r.err, r.settled = task.OutcomeUnknown(err), true
	}
	return len(group)
}

// setDamagedAside moves the records that were found unreadable.
func (s *Store) setDamagedAside() {
	records := s.damage.snapshot()
	r := &request{class: Essential, fn: func(tx *Tx) error { return tx.quarantine(records) }}
	s.commit([]*request{r})
	if r.err != nil {
		return // a full disk: they stay on the list, and out of the way
	}
	for key, reason := range records {
		s.o.Logger.Warn("record set aside", "task", key.String(), "reason", reason)
	}
	s.damage.forget(records)
}

// panicError is a panic that was contained.
type panicError struct {
	value any
	stack string
	// inFile: it came from reading the file, not from a mistake of the closure.
	inFile bool
}

// Error leaves the stack out: it is for the log.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// stackOf returns the stack of the panic that err comes from, if it comes from one.
func stackOf(err error) string {
	if p := (*panicError)(nil); errors.As(err, &p) {
		return p.stack
	}
	return ""
}

// contain calls fn and turns a panic into an error.
func contain(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if d, ok := v.(damage); ok {
			err = d
			return
		}
		p := &panicError{value: v, stack: string(debug.Stack()), inFile: fromFile(v)}
		err = p
		if !p.inFile {
			err = &task.Error{Code: task.Internal, Message: fmt.Sprintf("store: panic in a transaction: %v", v), Err: p}
		}
	}()
	return fn()
}

// fromFile reports whether the panic that is being recovered comes from the mapped file: a fault at an
// address, or bbolt's own when a page is not what it should be.
func fromFile(v any) bool {
	if _, ok := v.(interface{ Addr() uintptr }); ok {
		return true
	}
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic" || f.Function == "runtime.sigpanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

// isBroken reports whether err says that the file is broken.
func (s *Store) isBroken(err error) bool {
	if err == nil {
		return false
	}
	var p *panicError
	var d damage
	return errors.As(err, &d) || errors.As(err, &p) && p.inFile
}

// visible reports whether readers see a transaction whose commit has failed: then it may be on disk.
func (s *Store) visible(tx *Tx) bool {
	b, err := s.db.Begin(false)
	if err != nil {
		return true // the file is no longer mapped: nothing can be said
	}
	defer func() { _ = b.Rollback() }()
	return int64(b.ID()) >= tx.id
}
