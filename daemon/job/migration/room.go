package migration

import (
	"sync/atomic"
	"time"
)

// room is how many bytes a batch may have. To a database a batch is a statement, which costs the less for each record the
// larger it is. But a batch must not hold up a commit that is due, and for each record that is refused, part of it is sent again.
// The producer reads it while the consumer changes it.
type room struct {
	bytes       atomic.Int64
	least, most int64
}

// roomy is a direct sink for which larger batches are worth it.
type roomy interface {
	// room returns bytes: what a batch of a slow destination may have, and what any may.
	room() (least, most int64)
}

func newRoom(d direct) *room {
	r := &room{least: batchBytes, most: batchBytes}
	if s, ok := d.(roomy); ok {
		r.least, r.most = s.room()
	}
	r.bytes.Store(batchBytes)
	return r
}

func (r *room) now() int { return int(r.bytes.Load()) }

// A batch is to take no longer than roomSlow, and grows while it takes less than roomFast: of that, the way to a far server and
// back is the most.
const (
	roomFast = 150 * time.Millisecond
	roomSlow = 300 * time.Millisecond
)

// wrote tells how long a batch took, and whether the destination refused some of its records.
func (r *room) wrote(took time.Duration, refused bool) {
	switch now := r.bytes.Load(); {
	case refused || took > roomSlow:
		r.bytes.Store(max(now/2, r.least))
	case took < roomFast:
		r.bytes.Store(min(now*2, r.most))
	}
}
