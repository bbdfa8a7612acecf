package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
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
		ok = ok && (tx.get(bTasks, key[:]) != nil || tx.setAside(key) != "")
	case task.RefNewest:
		k, _ := tx.bucket(bTasks).Cursor().Last()
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

func (tx *Tx) byNumber(n uint64) (key uuid.UUID, ok bool) {
	prefix := binary.BigEndian.AppendUint64([]byte{xNumber}, n)
	k, _ := tx.bucket(bIndexes).Cursor().Seek(prefix)
	if !bytes.HasPrefix(k, prefix) {
		return key, false
	}
	return uuid.UUID(k[len(prefix):]), true
}

// byPart finds the task whose ID begins or ends with part. There is no index of endings: all IDs are
// looked at, newest first, in the densest place that has them.
func (tx *Tx) byPart(part string) (key uuid.UUID, ok bool, err error) {
	match := matcher(part)
	var found []uuid.UUID
	numbers := &stream{cursor: tx.bucket(bIndexes).Cursor(), prefix: []byte{xNumber}}
	for numbers.seek(nil); numbers.at != nil && len(found) <= maxCandidates; numbers.step() {
		if id := uuid.UUID(numbers.at[8:]); match(id) {
			found = append(found, id)
		}
	}
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
