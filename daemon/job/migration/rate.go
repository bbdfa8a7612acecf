package migration

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"durable/ipc/task"
)

// maxRate is the largest rate_limit: more is as good as none.
const maxRate = 1e9

func (p *params) checkRate() error {
	if r := p.RateLimit; r != nil && !(*r > 0 && *r <= maxRate) {
		return task.Errorf(task.InvalidArgument, "rate_limit: %g, want more than 0 and at most %g records a second", *r, float64(maxRate)).
			WithHint("leave rate_limit out for full speed")
	}
	return nil
}

// limiter spares the source: it lets so many records a second through. nil: all.
func (p *params) limiter() *rate.Limiter {
	if p.RateLimit == nil {
		return nil
	}
	// A tenth of a second's worth at once: timers are too coarse for one record each.
	burst := max(1, int(*p.RateLimit/10))
	l := rate.NewLimiter(rate.Limit(*p.RateLimit), burst)
	l.AllowN(time.Now(), burst) // not a burst right away, attempt after attempt
	return l
}

// pace waits until the next record may be read. It returns false when ctx is done.
func (p *producer) pace(ctx context.Context) bool {
	if p.limiter == nil {
		return true
	}
	if p.limiter.Wait(ctx) == nil {
		return true
	}
	<-ctx.Done() // Wait gives up as soon as it knows that a deadline comes first
	return false
}
