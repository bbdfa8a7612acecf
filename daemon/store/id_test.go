package store

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
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
