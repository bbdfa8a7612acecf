package store

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// maxCandidates bounds how many tasks the error for an ambiguous reference names.
const maxCandidates = 5

// Resolve returns the ID of the task that ref names: [task.NotFound] if there is none,
// [task.InvalidArgument] if ref is malformed or names several.
func (tx *Tx) Resolve(ref task.Ref) (task.ID, error) {
	kind, err := ref.Parse()
	if err != nil {
		return "", err
	}
	var key uuid.UUID
	var ok bool
	switch kind {
	case task.RefNumber:
		key, ok = tx.byNumber(ref.Number())
	case task.RefID:
		key, ok = key16(task.ID(strings.ToLower(string(ref))))
		// One that was set aside is there: whoever asks for it is told what became of it.
		ok = ok && (tx.get(rTasks, key[:]) != nil || tx.setAside(key) != "")
	case task.RefNewest:
		k, _ := tx.scan(rTasks).Last()
		if ok = k != nil; ok {
			key = uuid.UUID(k)
		}
	default:
		if key, ok, err = tx.byPart(strings.ToLower(string(ref))); err != nil {
			return "", err
		}
	}
	if !ok {
		return "", task.Errorf(task.NotFound, "no task %s", ref).WithHint("durablectl list shows the tasks there are")
	}
	return formatID(key[:]), nil
}

// byNumber bisects the IDs, with which numbers grow: it sets the bits of the greatest ID whose number is not above n, from the
// first to the last. That is some eighty looks, and only for what people type; an index would cost every submit a page.
func (tx *Tx) byNumber(n uint64) (key uuid.UUID, ok bool) {
	if n > tx.state().LastNumber {
		return key, false
	}
	for bit := range 8 * idSize {
		probe := key
		probe[bit/8] |= 0x80 >> (bit % 8)
		found, number := tx.numberFrom(probe)
		switch {
		case number == n:
			return found, true
		case number < n:
			key = probe
		}
	}
	return key, false
}

// numberFrom returns the first task from key on whose record can be read; the greatest number of all when there is none.
func (tx *Tx) numberFrom(key uuid.UUID) (uuid.UUID, uint64) {
	c := tx.scan(rTasks)
	for k, _ := c.Seek(key[:]); k != nil; k, _ = c.Next() {
		var r stored
		if id := uuid.UUID(k); tx.parse(id, indexedFields, &r) == nil {
			return id, r.Task.Number
		}
	}
	return uuid.UUID{}, math.MaxUint64
}

// byPart finds the task whose ID begins or ends with part. There is no index of endings: all IDs are
// looked at, in the densest places that have them.
func (tx *Tx) byPart(part string) (key uuid.UUID, ok bool, err error) {
	match := matcher(part)
	var found []uuid.UUID
	for _, g := range append(tx.groups(rReady), tx.groups(rByKind)...) { // each task is in one of them
		s := &stream{scan: tx.scan(g.region), prefix: g.prefix}
		before := len(found)
		for s.seek(nil); s.at != nil && len(found)-before <= maxCandidates; s.step() {
			if id := uuid.UUID(s.at); match(id) {
				found = append(found, id)
			}
		}
	}
	slices.SortFunc(found, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) }) // newest first
	switch len(found) {
	case 0:
		return key, false, nil
	case 1:
		return found[0], true, nil
	}
	return key, false, tx.errAmbiguous(part, found)
}

// matcher compares the text only where the last or first whole byte of part fits already.
func matcher(part string) func(uuid.UUID) bool {
	head, headOK := firstByte(part)
	tail, tailOK := lastByte(part)
	return func(id uuid.UUID) bool {
		atHead := !headOK || id[0] == head
		atTail := !tailOK || id[idSize-1] == tail
		if !atHead && !atTail {
			return false
		}
		text := id.String()
		return strings.HasPrefix(text, part) || strings.HasSuffix(text, part)
	}
}

func firstByte(part string) (byte, bool) { return oneByte(part[:2]) }
func lastByte(part string) (byte, bool)  { return oneByte(part[len(part)-2:]) }

func oneByte(digits string) (byte, bool) {
	b, err := hex.DecodeString(digits)
	if err != nil {
		return 0, false
	}
	return b[0], true
}

func (tx *Tx) errAmbiguous(part string, found []uuid.UUID) error {
	var names []string
	for _, key := range found[:min(len(found), maxCandidates)] {
		var r stored
		if err := tx.parse(key, recordFields, &r); err != nil {
			names = append(names, key.String())
			continue
		}
		names = append(names, strings.TrimSpace(fmt.Sprintf("%d %s", r.Task.Number, r.Task.Title)))
	}
	more := ""
	if len(found) > maxCandidates {
		more = ", and others"
	}
	return task.Errorf(task.InvalidArgument, "task %s: several have that beginning or ending: %s%s",
		part, strings.Join(names, "; "), more).WithHint("use the number, or more characters of the ID")
}
