package store

import (
	"fmt"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// Checkpoint returns the task's position, nil if it has none. One that cannot be read is an error: to begin
// again from nothing is not for the store to decide.
func (tx *Tx) Checkpoint(id task.ID) ([]byte, error) {
	key, ok := key16(id)
	if !ok {
		return nil, errNoTask(id)
	}
	value := tx.get(rCheckpoints, key[:])
	if value == nil {
		return nil, nil
	}
	c, data, err := parseCheckpoint(key, value)
	if err == nil && (len(data) != c.Bytes || uint64(checksum(key[:], data)) != c.Sum) {
		err = fmt.Errorf("%w: checksum", errDamaged)
	}
	if err != nil {
		return nil, errBlob("checkpoint", key, err)
	}
	return append([]byte{}, data...), nil
}

// PutCheckpoint makes data the task's position and notes time and attempt: [Record.Task] shows them from
// the next read on. It writes no event.
func (tx *Tx) PutCheckpoint(id task.ID, data []byte) error {
	if len(data) > task.MaxCheckpoint {
		return task.Errorf(task.InvalidArgument, "checkpoint of %d bytes, the limit is %d", len(data), task.MaxCheckpoint).
			WithHint("write a file, sync it, and name it in the checkpoint")
	}
	rec, err := tx.Task(id)
	if err != nil {
		return err
	}
	key, _ := key16(id)
	c := checkpoint{At: tx.now, Attempt: rec.Task.Attempt, Bytes: len(data), Sum: uint64(checksum(key[:], data))}
	head := seal(key[:], checkpointFields.append(make([]byte, sealSize, 64), &c))
	value := make([]byte, 0, 1+len(head)+len(data))
	value = append(append(append(value, byte(len(head))), head...), data...)
	return tx.put(rCheckpoints, key[:], value)
}

// DropCheckpoint removes the task's position: its next attempt begins anew. It writes no event.
func (tx *Tx) DropCheckpoint(id task.ID) error {
	key, ok := key16(id)
	if !ok {
		return errNoTask(id)
	}
	return tx.deleteIfThere(rCheckpoints, key[:])
}

// parseCheckpoint splits an entry. The description has a seal of its own, so that a list of tasks need not
// read through all their data.
func parseCheckpoint(key uuid.UUID, value []byte) (c checkpoint, data []byte, err error) {
	if len(value) == 0 || len(value) < 1+int(value[0]) {
		return c, nil, fmt.Errorf("%w: %d bytes", errDamaged, len(value))
	}
	head, data := value[1:1+value[0]], value[1+int(value[0]):]
	body, err := unseal(key[:], head)
	if err == nil {
		err = checkpointFields.parse(body, &c)
	}
	return c, data, err
}

// describeCheckpoint returns what clients see of a checkpoint: nil if there is none, or none that can be
// read, which whoever needs it learns from [Tx.Checkpoint].
func (tx *Tx) describeCheckpoint(key uuid.UUID) *task.Checkpoint {
	value := tx.get(rCheckpoints, key[:])
	if value == nil {
		return nil
	}
	c, _, err := parseCheckpoint(key, value)
	if err != nil {
		return nil
	}
	return &task.Checkpoint{At: c.At, Attempt: c.Attempt, Bytes: c.Bytes}
}

// Secrets returns what PutSecrets stored, nil if there is nothing.
func (tx *Tx) Secrets(id task.ID) ([]byte, error) {
	key, ok := key16(id)
	if !ok {
		return nil, errNoTask(id)
	}
	value := tx.get(rSecrets, key[:])
	if value == nil {
		return nil, nil
	}
	body, err := unseal(key[:], value)
	if err != nil {
		return nil, errBlob("secrets", key, err)
	}
	return append([]byte(nil), body...), nil
}

// PutSecrets stores what must never be shown. It is gone with the task's end.
func (tx *Tx) PutSecrets(id task.ID, data []byte) error {
	key, ok := key16(id)
	if !ok || tx.get(rTasks, key[:]) == nil {
		return errNoTask(id)
	}
	return tx.put(rSecrets, key[:], seal(key[:], append(make([]byte, sealSize, sealSize+len(data)), data...)))
}

func errBlob(what string, key uuid.UUID, err error) error {
	return task.Errorf(task.Internal, "the %s of task %s cannot be read: %w", what, formatID(key[:]), err)
}
