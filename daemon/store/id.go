package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

type rawJSON = json.RawMessage

const idSize = len(uuid.UUID{})

// key16 returns the key of a task; false if id is no UUID in its usual form.
func key16(id task.ID) (uuid.UUID, bool) {
	if len(id) != 36 {
		return uuid.UUID{}, false
	}
	u, err := uuid.Parse(string(id))
	return u, err == nil
}

func formatID(key []byte) task.ID { return task.ID(uuid.UUID(key).String()) }

// canonical is key16 of an ID that formatID gives back as it is: one in lower case.
func canonical(id task.ID) (uuid.UUID, bool) {
	for i := range len(id) {
		if 'A' <= id[i] && id[i] <= 'F' {
			return uuid.UUID{}, false
		}
	}
	return key16(id)
}

// appendID writes id in as few bytes as it needs: 16 for a UUID, else its text.
func appendID(b []byte, id task.ID) []byte {
	if u, ok := canonical(id); ok {
		return append(b, u[:]...)
	}
	return append(b, id...)
}

func unpackID(b []byte) task.ID {
	if len(b) == idSize {
		return formatID(b)
	}
	return task.ID(b)
}

// nextID returns a UUIDv7 above last. While the clock stands still or has gone back, IDs count up from
// last by random steps, so that their endings stay apart. google/uuid's NewV7 keeps its order within
// one process only; ours has to outlive it.
func nextID(last uuid.UUID, now time.Time) uuid.UUID {
	var u uuid.UUID
	_, _ = rand.Read(u[:]) // never fails
	step := binary.BigEndian.Uint32(u[12:])
	binary.BigEndian.PutUint64(u[:8], uint64(now.UnixMilli())<<16|uint64(u[6])<<8|uint64(u[7]))
	setVersion(&u)
	if bytes.Compare(u[:], last[:]) > 0 {
		return u
	}
	return bump(last, uint64(step)+1)
}

// bump adds n to u, leaving version and variant alone: to the lower 62 bits, with a carry into the
// time. (The 12 random bits between the two are passed over; 2^62 is never used up.)
func bump(u uuid.UUID, n uint64) uuid.UUID {
	const low = 1<<62 - 1
	v := binary.BigEndian.Uint64(u[8:])&low + n
	if v > low {
		ms := binary.BigEndian.Uint64(u[:8])>>16 + 1
		binary.BigEndian.PutUint64(u[:8], ms<<16)
	}
	binary.BigEndian.PutUint64(u[8:], v&low)
	setVersion(&u)
	return u
}

func setVersion(u *uuid.UUID) {
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
}
