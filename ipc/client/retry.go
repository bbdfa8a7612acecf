package client

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// Delays between tries: short at first, because a daemon that restarts is back within milliseconds.
const (
	firstDelay = 10 * time.Millisecond
	maxDelay   = 250 * time.Millisecond
)

func newDelays() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     firstDelay,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
		Multiplier:          backoff.DefaultMultiplier,
		MaxInterval:         maxDelay,
	}
}

// retry calls try until it succeeds, fails for good, or has failed for as long as req's patience. Time in which
// a try was connected does not count: a wait that breaks after an hour has all its patience left.
func (c *Client) retry(ctx context.Context, req *request, try func() error) error {
	var (
		since   time.Time // of the first failure in a row
		delays  = newDelays()
		started bool
		reason  error // what is worth more to the caller than that nobody listens
	)
	for {
		began := time.Now()
		err := try()
		if err == nil {
			return nil
		}
		if !req.again(err) || ctx.Err() != nil {
			return c.final(ctx, req, err)
		}
		if !absent(err) {
			reason = err
		} else if c.opts.Start != nil && !req.passive && !started {
			started = true
			err := c.start(ctx)
			if err == nil {
				continue
			}
			if !errors.Is(err, errWillNot) {
				return c.final(ctx, req, err)
			}
			reason = cmp.Or(reason, err) // not we, but perhaps a service manager: go on asking
		}
		if now := time.Now(); since.IsZero() || now.Sub(began) >= req.patience {
			since = now
			delays.Reset()
		}
		if time.Since(since) >= req.patience || !sleep(ctx, delays.NextBackOff()) {
			return c.final(ctx, req, cmp.Or(reason, err))
		}
	}
}

// again reports whether req may be sent again after err: always if it was not sent, else if it is safe.
func (req *request) again(err error) bool {
	if absent(err) {
		return true
	}
	return req.repeat && (lost(err) || errors.Is(err, task.Unavailable))
}

// start runs Options.Start, unless a daemon has come up since.
func (c *Client) start(ctx context.Context) error {
	select {
	case c.starting <- struct{}{}:
		defer func() { <-c.starting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	path, err := c.Socket()
	if err != nil {
		return err
	}
	if conn, err := socket.Dial(ctx, path); err == nil {
		conn.Close()
		return nil
	}
	return c.opts.Start(ctx)
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
