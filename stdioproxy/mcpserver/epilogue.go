package mcpserver

import (
	"encoding/json"

	"durable/ipc/task"
)

// epilogue is the log line for the session that started t, now that t has ended; empty: none.
func epilogue(t task.Task) (level, text string) {
	switch {
	case t.Status == task.StatusFailed:
		return "error", "Task " + string(t.ID) + " failed: " + failure(t)
	case t.Status == task.StatusCompleted && t.Kind == kindMigration:
		var result struct {
			Migrated json.Number `json:"migrated_records"`
		}
		if err := json.Unmarshal(t.Result, &result); err != nil || result.Migrated == "" {
			result.Migrated = "all"
		}
		return "info", "Data migration completed: " + result.Migrated.String() + " records"
	case t.Status == task.StatusCompleted && t.Kind == kindBatch:
		return "info", batchEpilogue(t)
	case t.Status == task.StatusCompleted && t.Kind == kindTraining:
		return "info", trained(t)
	case t.Status == task.StatusCompleted:
		return "info", "Task " + string(t.ID) + " completed"
	}
	return "", "" // cancelled: who did it has been told
}
