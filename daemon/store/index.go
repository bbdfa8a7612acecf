package store

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// Statuses are one byte in keys. The values are the file format.
const (
	statusPending = iota + 1
	statusRunning
	statusCompleted
	statusFailed
	statusCancelled
	statusCount
)

var statusBytes = map[task.Status]byte{
	task.StatusPending:   statusPending,
	task.StatusRunning:   statusRunning,
	task.StatusCompleted: statusCompleted,
	task.StatusFailed:    statusFailed,
	task.StatusCancelled: statusCancelled,
}

// index derives the key under which a record is found in a region; nil: it is not in there. Keys are appended to an empty b.
type index struct {
	region region
	key    func(b []byte, id uuid.UUID, r *stored) []byte
}

// value is what stands under the key of r. Only what is queued needs one: its kind, which its key does not have.
func (x index) value(r *stored) []byte {
	if x.region != rReady {
		return nil
	}
	return []byte(r.Task.Kind)
}

// indexes are all of them: a record is written together with the difference between the keys that it
// had and those that it has now.
var indexes = [...]index{
	{rByKind, func(b []byte, id uuid.UUID, r *stored) []byte {
		if r.Task.State() == queued {
			return nil
		}
		return append(append(append(b, r.Task.Kind...), 0, statusBytes[r.Task.Status]), id[:]...)
	}},
	{rByRoot, func(b []byte, id uuid.UUID, r *stored) []byte {
		root, ok := key16(r.Task.RootID)
		if !ok || root == id {
			return nil
		}
		return append(append(b, root[:]...), id[:]...)
	}},
	{rByEnd, func(b []byte, id uuid.UUID, r *stored) []byte {
		if !r.Task.Status.Terminal() || r.Task.CompletedAt == nil {
			return nil
		}
		return append(appendTime(append(b, statusBytes[r.Task.Status]), *r.Task.CompletedAt), id[:]...)
	}},
	{rReady, func(b []byte, id uuid.UUID, r *stored) []byte {
		if r.Task.State() != queued {
			return nil
		}
		return append(appendPriority(b, r.Task.Priority), id[:]...)
	}},
	{rDue, func(b []byte, id uuid.UUID, r *stored) []byte {
		at := dueAt(r)
		if at == nil {
			return nil
		}
		return append(appendTime(b, at.Add(time.Microsecond-1)), id[:]...) // rounded up: never early
	}},
	{rUnclean, func(b []byte, id uuid.UUID, r *stored) []byte {
		if !r.CleanPending {
			return nil
		}
		return append(b, id[:]...)
	}},
	{rAsking, func(b []byte, id uuid.UUID, r *stored) []byte {
		if r.Task.State() != asking {
			return nil
		}
		return append(b, id[:]...)
	}},
}

// queued is the state of a task that waits for a slot, asking that of one that waits for a person's yes.
var (
	queued = task.State{Status: task.StatusPending, Phase: task.PhaseQueued}
	asking = task.State{Status: task.StatusPending, Phase: task.PhaseAwaitingApproval}
)

// dueAt returns when a pending task that waits for its time is to go on, or to end.
func dueAt(r *stored) *time.Time {
	switch r.Task.State() {
	case task.State{Status: task.StatusPending, Phase: task.PhaseRetryWait}:
		return r.Task.NextAttemptAt
	case task.State{Status: task.StatusPending, Phase: task.PhaseScheduled}:
		return r.Task.RunAt
	case asking:
		if r.Task.Approval != nil && !r.Task.Approval.ExpiresAt.IsZero() {
			return &r.Task.Approval.ExpiresAt
		}
	}
	return nil
}

// appendPriority inverts p, so that the highest one sorts first.
func appendPriority(b []byte, p int) []byte {
	p = min(task.MaxPriority, max(-task.MaxPriority, p))
	return binary.BigEndian.AppendUint16(b, uint16(task.MaxPriority-p))
}

// appendTime writes microseconds since 1970, shifted so that times before it sort first.
func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro())^1<<63)
}

func readTime(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b) ^ 1<<63)).UTC()
}

// reindex moves a record from the keys of old to those of cur; either may be nil.
func (tx *Tx) reindex(id uuid.UUID, old, cur *stored) error {
	for _, x := range indexes {
		var from, to []byte
		if old != nil {
			from = x.key(tx.from[:0], id, old)
		}
		if cur != nil {
			to = x.key(tx.into[:0], id, cur)
		}
		if string(from) == string(to) {
			continue
		}
		if from != nil {
			if err := tx.delete(x.region, from); err != nil {
				return err
			}
		}
		if to != nil {
			if err := tx.put(x.region, to, x.value(cur)); err != nil {
				return err
			}
		}
		if x.region == rReady {
			tx.state().Ready += present(to) - present(from)
		}
	}
	if old != nil {
		tx.state().Counts[statusBytes[old.Task.Status]]--
	}
	if cur != nil {
		tx.state().Counts[statusBytes[cur.Task.Status]]++
	}
	return nil
}

// group is the keys of an index that have the same bytes before the ID.
type group struct {
	region region
	prefix []byte
}

// groups returns those of one index.
func (tx *Tx) groups(r region) []group {
	var groups []group
	s := tx.scan(r)
	k, _ := s.First()
	for k != nil {
		prefix := bytes.Clone(k[:len(k)-idSize])
		groups = append(groups, group{r, prefix})
		k, _ = s.Seek(append(bytes.Clone(prefix), beyond...))
	}
	return groups
}

// ofStatus returns the groups that have the tasks of a status, of all kinds.
func (tx *Tx) ofStatus(st byte) []group {
	var groups []group
	for _, g := range tx.groups(rByKind) {
		if g.prefix[len(g.prefix)-1] == st {
			groups = append(groups, g)
		}
	}
	if st == statusPending {
		groups = append(groups, tx.groups(rReady)...)
	}
	return groups
}

// beyond sorts after every time and ID.
var beyond = bytes.Repeat([]byte{0xff}, idSize+9)

func present(key []byte) int64 {
	if key == nil {
		return 0
	}
	return 1
}
