package main

import (
	"testing"

	"durable/ipc/task"
)

func TestInFlags(t *testing.T) {
	for hint, want := range map[string]string{
		"mode=replace drops it first, mode=append adds to it; or name another with destination_table": "--mode replace drops it first, --mode append adds to it; or name another with --destination-table",
		"leave record_count out to migrate all records":                                               "leave --records out to migrate all records",
		"check the path": "check the path",
		"source_path is no flag, nor is mode a word": "source_path is no flag, nor is mode a word",
	} {
		err := task.Errorf(task.InvalidArgument, "no").WithHint("%s", hint)
		if got := task.AsError((&cli{}).inFlags(err, migrationFlags)).Hint; got != want {
			t.Errorf("inFlags(%q) = %q, want %q", hint, got, want)
		}
		if got := task.AsError((&cli{json: true}).inFlags(err, migrationFlags)).Hint; got != hint {
			t.Errorf("with --json: %q, want %q", got, hint)
		}
	}
}
