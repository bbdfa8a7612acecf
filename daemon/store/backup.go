package store

import (
	"context"

	"durable/ipc/task"
)

// Backup writes a consistent copy of the store to a new file.
func (s *Store) Backup(ctx context.Context, path string, withSecrets bool) (task.BackupResult, error) {
	return task.BackupResult{}, task.Errorf(task.Unimplemented, "backup")
}

// Restore makes a store in dir from a backup.
func Restore(backup, dir string) error { return task.Errorf(task.Unimplemented, "restore") }
