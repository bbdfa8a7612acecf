package command

import (
	"context"
	"slices"
	"sync"
)

// Limits count the attempts of each user-defined kind that run. The zero value is ready.
type Limits struct {
	mu     sync.Mutex
	counts map[string]*counter
}

// counter is that of one kind: guarded by Limits.mu.
type counter struct {
	running int
	waiting []chan struct{} // oldest first; one that is closed has been let in, and counted
}

// enter counts an attempt of a kind of which at most limit may run; 0 is no limit. It waits for its turn, unless the
// attempt runs already. leave must be called once if err is nil.
func (l *Limits) enter(ctx context.Context, kind string, limit int, runs bool, waits func(running int)) (leave func(), err error) {
	l.mu.Lock()
	if l.counts == nil {
		l.counts = map[string]*counter{}
	}
	c := l.counts[kind]
	if c == nil {
		c = &counter{}
		l.counts[kind] = c
	}
	leave = func() { l.leave(c, limit) }
	if runs || limit <= 0 || c.running < limit && len(c.waiting) == 0 {
		c.running++
		l.mu.Unlock()
		return leave, nil
	}
	turn, running := make(chan struct{}), c.running
	c.waiting = append(c.waiting, turn)
	l.mu.Unlock()
	waits(running)
	select {
	case <-turn:
		return leave, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(c.waiting, turn); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
		return nil, context.Cause(ctx)
	}
	return leave, nil // let in at the same moment
}

// leave lets in who waits, as many as the limit allows: a reload may have changed it.
func (l *Limits) leave(c *counter, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.running--
	for len(c.waiting) > 0 && (limit <= 0 || c.running < limit) {
		close(c.waiting[0])
		c.waiting = c.waiting[1:]
		c.running++
	}
}
