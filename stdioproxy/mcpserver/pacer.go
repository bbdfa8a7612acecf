package mcpserver

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// pacer spaces the notifications for each URI: the first at once, then one an interval, and the last
// change always, late at most by an interval. It belongs to one goroutine. With nothing to do its
// timer is off.
type pacer struct {
	send  func(ctx context.Context, uri string)
	timer *time.Timer
	slots map[string]*slot
}

// slot is a URI that was told of within the last interval.
type slot struct {
	until time.Time
	dirty bool
}

const paceInterval = time.Second / updatesPerSecond

func newPacer(h *hub) *pacer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &pacer{send: h.updated, timer: t, slots: map[string]*slot{}}
}

// updated tells the sessions that subscribed to uri.
func (h *hub) updated(ctx context.Context, uri string) {
	if err := h.mcp.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
		h.log.Debug("resource update not sent", "uri", uri, "error", err)
	}
}

// changed notes a change of uri at now, and tells of it unless that was done just before.
func (p *pacer) changed(ctx context.Context, uri string, now time.Time) {
	if s := p.slots[uri]; s != nil {
		s.dirty = true
		return
	}
	p.slots[uri] = &slot{until: now.Add(paceInterval)}
	if len(p.slots) == 1 {
		p.timer.Reset(paceInterval)
	}
	p.send(ctx, uri)
}

// due tells what has waited long enough.
func (p *pacer) due(ctx context.Context, now time.Time) {
	var next time.Time
	for _, uri := range sortedKeys(p.slots) {
		s := p.slots[uri]
		if !s.until.After(now) {
			if !s.dirty {
				delete(p.slots, uri)
				continue
			}
			s.until, s.dirty = now.Add(paceInterval), false
			p.send(ctx, uri)
		}
		if next.IsZero() || s.until.Before(next) {
			next = s.until
		}
	}
	if !next.IsZero() {
		p.timer.Reset(next.Sub(now))
	}
}
