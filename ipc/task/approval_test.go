package task_test

import (
	"testing"

	"durable/ipc/task"
)

func TestApprovalNotice(t *testing.T) {
	const want = "Waiting for your approval. In a terminal: durablectl approve 42 (once), durablectl approve 42 --always, or durablectl policy allow"
	if got := task.ApprovalNotice(42); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEffectText(t *testing.T) {
	for want, e := range map[string]task.Effect{
		"run /usr/bin/make in /src": {Act: task.ActRun, Program: "/usr/bin/make", Folder: "/src"},
		"run /usr/bin/make":         {Act: task.ActRun, Program: "/usr/bin/make"},
		"overwrite /b.db":           {Act: task.ActOverwrite, Path: "/b.db"},
		"something new":             {Act: "something new"},
	} {
		if got := e.String(); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}
