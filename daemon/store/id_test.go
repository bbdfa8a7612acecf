package store

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

func TestNextID(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	full := uuid.MustParse("01a0c3a1-b400-7fff-bfff-ffffffffffff") // one below the next millisecond
	endings := map[string]bool{}
	last := full
	for i := range 10_000 {
		if i%100 == 50 {
			now = now.Add(time.Duration(i%3-1) * time.Hour)
		}
		id := nextID(last, now)
		if bytes.Compare(id[:], last[:]) <= 0 {
			t.Fatalf("%s is not above %s", id, last)
		}
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %s", id, id.Version(), id.Variant())
		}
		endings[id.String()[28:]] = true
		last = id
	}
	if len(endings) < 9_990 {
		t.Errorf("%d different endings of 10000 IDs", len(endings))
	}
	fresh := nextID(uuid.UUID{}, now)
	if sec, nsec := fresh.Time().UnixTime(); time.Unix(sec, nsec).UnixMilli() != now.UnixMilli() {
		t.Errorf("%s is of %v, want %v", fresh, time.Unix(sec, nsec), now)
	}
}

// TestPackedIDs: whatever an ID looks like, it is read as it was written.
func TestPackedIDs(t *testing.T) {
	for id, size := range map[task.ID]int{
		"019a0000-0000-7000-8000-00000000000a": 16,
		"019a0000-0000-7000-8000-00000000000A": 36, // would come back in lower case
		"019a0000-0000-7000-8000-00000000000g": 36,
		"019a0000x0000-7000-8000-00000000000a": 36,
		"{19a0000-0000-7000-8000-0000000000a}": 36,
		"a task":                               6,
		"":                                     0,
	} {
		b := appendID(nil, id)
		if len(b) != size || size > 0 && unpackID(b) != id {
			t.Errorf("%q: %d bytes, want %d; read as %q", id, len(b), size, unpackID(b))
		}
	}
}
