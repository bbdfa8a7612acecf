package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"durable/ipc/task"
)

// Defaults of the journal's bounds.
const (
	DefaultJournalMax = 1_000_000
	DefaultJournalAge = 30 * 24 * time.Hour
)

// journalChunk is how many events are pruned at once: the journal is let grow by as many, so that the
// pages at its beginning are touched once a chunk and not once a transaction.
const journalChunk = 1000

// MaxEvents bounds what one call of [Tx.Events] or [Tx.EventsOf] looks at.
const MaxEvents = 10_000

// journalTask appends an event that tells of rec.
func (tx *Tx) journalTask(ev task.EventType, rec *Record) error {
	return tx.Append(task.Event{Type: ev, TaskID: rec.Task.ID, Task: rec.Task.Summary()})
}

// Append writes an event. Time is now unless it is set; the cursor is assigned.
func (tx *Tx) Append(ev task.Event) error {
	st := tx.state()
	if ev.Time.IsZero() {
		ev.Time = tx.now
	}
	st.LastSeq++
	var buf [8]byte
	key := binary.BigEndian.AppendUint64(buf[:0], st.LastSeq)
	return tx.put(rEvents, key, encode(tx, key, eventFields, &ev))
}

// JournalLen returns the number of events that the journal has.
func (tx *Tx) JournalLen() (uint64, error) {
	return tx.state().LastSeq + 1 - tx.state().FirstSeq, nil
}

// Cursor returns the place of the newest event.
func (tx *Tx) Cursor() (task.Cursor, error) { return tx.cursor(tx.state().LastSeq), nil }

func (tx *Tx) cursor(seq uint64) task.Cursor {
	return task.Cursor(tx.s.epoch + "." + strconv.FormatUint(seq, 10))
}

// parseCursor takes a cursor apart.
func parseCursor(c task.Cursor) (epoch string, seq uint64, err error) {
	epoch, digits, ok := strings.Cut(string(c), ".")
	if ok {
		seq, err = strconv.ParseUint(digits, 10, 64)
	}
	if !ok || err != nil || epoch == "" || strconv.FormatUint(seq, 10) != digits {
		return "", 0, task.Errorf(task.InvalidArgument, "cursor %.60q: this is none", string(c)).
			WithHint("give back a cursor as an event or a list had it, or %q", task.CursorStart)
	}
	return epoch, seq, nil
}

// Events returns up to max events after a cursor, oldest first; none if it is the newest one. A
// cursor from before a restore, or one that is older than the journal, is a [task.OutOfRange] with the
// detail "first": the cursor after which all that is left comes.
func (tx *Tx) Events(after task.Cursor, max int) ([]task.Event, error) {
	events, _, err := tx.EventsOf(EventFilter{}, after, max)
	return events, err
}

// EventFilter says which events are wanted; those of its zero value are all. A wanted one that cannot be read is shown as such, without
// its task.
type EventFilter struct {
	Task task.ID
	Type task.EventType
}

// EventsOf is Events of those that f wants; the others are hardly looked at. max bounds how many are passed in all, and next is the
// place of the last of them: after itself if there is nothing after it.
func (tx *Tx) EventsOf(f EventFilter, after task.Cursor, max int) (events []task.Event, next task.Cursor, err error) {
	seq, err := tx.after(after)
	if err != nil {
		return nil, after, err
	}
	only := appendID(nil, f.Task)
	last := seq
	c := tx.scan(rEvents)
	k, v := c.Seek(binary.BigEndian.AppendUint64(nil, seq+1))
	for max = min(max, MaxEvents); k != nil && max > 0; max-- {
		last = binary.BigEndian.Uint64(k)
		if f == (EventFilter{}) || f.wants(v, only) {
			events = append(events, tx.event(k, v))
		}
		k, v = c.Next()
	}
	if last == seq {
		return nil, after, nil
	}
	return events, tx.cursor(last), nil
}

// wants looks at the first fields of an event only, and not at its checksum: one that is damaged may be passed over. only is
// f.Task as it is written.
func (f EventFilter) wants(sealed, only []byte) bool {
	var typ, id []byte
	for body := sealed[min(sealSize, len(sealed)):]; len(body) > 0 && id == nil; {
		num, wire, n := protowire.ConsumeTag(body)
		if n < 0 {
			return false
		}
		var val value
		m := val.consume(num, wire, body[n:])
		if m < 0 {
			return false
		}
		switch num {
		case eventType:
			typ = val.b
		case eventTask:
			id = val.b
		}
		body = body[n+m:]
	}
	return (f.Type == "" || string(f.Type) == string(typ)) && (f.Task == "" || bytes.Equal(id, only))
}

// event decodes one. A damaged one is shown as such: a gap must not look like silence.
func (tx *Tx) event(key, value []byte) task.Event {
	var ev task.Event
	body, err := unseal(key, value)
	if err == nil {
		err = eventFields.parse(body, &ev)
	}
	if err != nil {
		ev = task.Event{Type: task.EventDaemon, Message: fmt.Sprintf("this event cannot be read: %v", err)}
	}
	ev.Cursor = tx.cursor(binary.BigEndian.Uint64(key))
	return ev
}

// after returns the number of the event that a cursor names.
func (tx *Tx) after(c task.Cursor) (uint64, error) {
	st := tx.state()
	switch c {
	case "":
		return st.LastSeq, nil
	case task.CursorStart:
		return st.FirstSeq - 1, nil
	}
	epoch, seq, err := parseCursor(c)
	if err != nil {
		return 0, err
	}
	var why string
	switch {
	case epoch != tx.s.epoch:
		why = "it is from before the store was restored"
	case seq+1 < st.FirstSeq:
		why = "the journal no longer goes back that far"
	case seq > st.LastSeq:
		why = "there is no such event yet"
	default:
		return seq, nil
	}
	return 0, task.Errorf(task.OutOfRange, "cursor %s: %s", c, why).
		WithDetail("first", string(tx.cursor(st.FirstSeq-1))).
		WithHint("list the tasks again and go on from the list's cursor")
}

// pruneJournal removes a chunk of events that are too many or too old. It reports whether there may be
// more to remove.
func (tx *Tx) pruneJournal() (more bool, err error) {
	st := tx.state()
	have := st.LastSeq + 1 - st.FirstSeq
	var n uint64 // whole chunks only: up to as many events stay longer
	switch {
	case have > tx.s.journalMax+journalChunk:
		n = journalChunk
	case have >= journalChunk:
		n = tx.oldEvents()
	}
	for ; n > 0; n-- {
		if err := tx.delete(rEvents, binary.BigEndian.AppendUint64(nil, st.FirstSeq)); err != nil {
			return false, err
		}
		st.FirstSeq++
		more = true
	}
	return more, nil
}

// oldEvents returns journalChunk if that many events at the beginning are all too old, else 0.
func (tx *Tx) oldEvents() uint64 {
	key := binary.BigEndian.AppendUint64(nil, tx.state().FirstSeq+journalChunk-1)
	var ev task.Event
	body, err := unseal(key, tx.get(rEvents, key))
	if err != nil || eventFields.parse(body, &ev) != nil || tx.now.Sub(ev.Time) < tx.s.journalAge {
		return 0 // one that cannot be read is bounded by number alone
	}
	return journalChunk
}

// overfull reports whether this transaction has filled up a chunk beyond the bound.
func (tx *Tx) overfull() bool {
	return tx.st.LastSeq+1-tx.st.FirstSeq > tx.s.journalMax+journalChunk
}
