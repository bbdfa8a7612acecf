package render

import (
	"encoding/json"
	"strings"
	"testing"

	"durable/ipc/task"
)

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"make": "make", "-j8": "-j8", "A=b": "A=b", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a\nb": "'a\nb'", "~/x": "'~/x'",
	} {
		if got := quote(word); got != want {
			t.Errorf("quote(%q) = %s, want %s", word, got, want)
		}
	}
}

// TestAwaiting: who is asked sees all of the command, also what a title cuts off, and is asked once.
func TestAwaiting(t *testing.T) {
	script := "echo " + strings.Repeat("harmless ", 12) + "; rm -rf ~"
	params, err := json.Marshal(map[string]any{"command": []string{"sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	asks := task.Task{
		Number: 30, Kind: "command", Title: "sh -c 'echo harmless …", Status: task.StatusPending, Phase: task.PhaseAwaitingApproval, Params: params,
		Approval: &task.Approval{Effects: []task.Effect{{Act: task.ActRun, Program: "/bin/sh", Folder: "/src"}}},
	}
	page := Overview{Pending: []task.Task{asks}, Info: task.Info{Warnings: []string{"30 waits for your approval: durablectl approve 30", "3 records were set aside"}}}
	text := Screen{Now: now, Width: 60}.Status(page)
	if !strings.Contains(text, "\n      sh -c '"+script+"'\n") {
		t.Errorf("not all of the command:\n%s", text)
	}
	if strings.Contains(text, "warning: 30") || !strings.Contains(text, "warning: 3 records") {
		t.Errorf("warnings:\n%s", text)
	}
	if strings.Contains(text, "waiting") {
		t.Errorf("it waits twice:\n%s", text)
	}
}

// TestOrphaned: the word alone says nothing to who sees it for the first time.
func TestOrphaned(t *testing.T) {
	text := Screen{Now: now}.Detail(task.Task{Number: 1, Kind: "command", Status: task.StatusRunning, Phase: task.PhaseOrphaned, Attempt: 1}, nil)
	if !strings.Contains(text, "watched to its end, but how it ends nobody will know") {
		t.Error(text)
	}
}
