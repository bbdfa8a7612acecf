package store

import (
	"github.com/google/uuid"

	"durable/ipc/task"
)

// Checkpoint returns the task's position, nil if it has none.
func (tx *Tx) Checkpoint(id task.ID) ([]byte, error) {
	key, ok := key16(id)
	if !ok {
		return nil, errNoTask(id)
	}
	c, err := tx.checkpoint(key, checkpointFields)
	if c == nil || err != nil {
		return nil, err
	}
	return c.Data, nil
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
	c := checkpoint{At: tx.now, Attempt: rec.Task.Attempt, Data: data}
	value := checkpointFields.append(make([]byte, sealSize, sealSize+32+len(data)), &c)
	return tx.put(bCheckpoints, key[:], seal(key[:], value))
}

// checkpoint reads the fields that m has; nil if there is no checkpoint.
func (tx *Tx) checkpoint(key uuid.UUID, m message[checkpoint]) (*checkpoint, error) {
	value := tx.get(bCheckpoints, key[:])
	if value == nil {
		return nil, nil
	}
	body, err := unseal(key[:], value)
	if err != nil {
		return nil, errBlob("checkpoint", key, err)
	}
	c := new(checkpoint)
	if err := m.parse(body, c); err != nil {
		return nil, errBlob("checkpoint", key, err)
	}
	return c, nil
}

// describeCheckpoint returns what clients see of a checkpoint.
func (tx *Tx) describeCheckpoint(key uuid.UUID) (*task.Checkpoint, error) {
	c, err := tx.checkpoint(key, checkpointFields)
	if c == nil || err != nil {
		return nil, err
	}
	return &task.Checkpoint{At: c.At, Attempt: c.Attempt, Bytes: len(c.Data)}, nil
}

// Secrets returns what PutSecrets stored, nil if there is nothing.
func (tx *Tx) Secrets(id task.ID) ([]byte, error) {
	key, ok := key16(id)
	if !ok {
		return nil, errNoTask(id)
	}
	value := tx.get(bSecrets, key[:])
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
	if !ok || tx.get(bTasks, key[:]) == nil {
		return errNoTask(id)
	}
	return tx.put(bSecrets, key[:], seal(key[:], append(make([]byte, sealSize, sealSize+len(data)), data...)))
}

func errBlob(what string, key uuid.UUID, err error) error {
	return task.Errorf(task.Internal, "the %s of task %s cannot be read: %w", what, formatID(key[:]), err)
}
