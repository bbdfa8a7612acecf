package mcpserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// TestHalves: a host shows its model either the content or the structured content. Whatever a tool has
// to say must be in both. Each case says which facts.
func TestHalves(t *testing.T) {
	id := string(fakeID(1))
	running := func(f *fake) {
		f.add(1)
		f.progress(1, 34, 100)
		f.change(1, task.EventProgress, func(t *task.Task) {
			eta := task.Duration(3 * time.Hour)
			t.Progress.ETA, t.Progress.Rate = &eta, 12.5
		})
	}
	failed := func(f *fake) {
		f.add(1)
		f.fail(1, "line 7: 3 fields, want 4", "on_error=skip goes on without such rows")
	}
	command := func(f *fake) {
		f.add(1)
		f.outputs = map[task.ID]map[string]string{fakeID(1): {
			"stdout": "out 0\nout 1\nout 2\n", "stdout.times": "12 2026-11-24T12:00:00Z\n18 2026-11-24T12:00:02Z\n",
			"stderr": "bad 1\n", "stderr.times": "6 2026-11-24T12:00:01Z\n",
		}}
	}
	cases := []struct {
		name    string
		prepare func(*fake)
		tool    string
		args    map[string]any
		isError bool
		facts   []string
	}{
		{"start", nil, "start_data_migration",
			map[string]any{"source_path": "/a.csv", "destination_path": "/b.db", "title": "nightly"}, false,
			[]string{id, "task://status/" + id, "nightly", "pending", "queued", "Accepted: it starts", "Tell the user; do not poll", "60",
				"Starting migration of all records from /a.csv to /b.db", "Data migration started. Track progress at: task://status/" + id}},
		{"training", nil, "start_ml_training", map[string]any{"model_name": "clasificador-texto", "dataset_size": 5000, "epochs": 50}, false,
			[]string{id, "Starting training of model 'clasificador-texto' with 5000 samples by 50 epochs",
				"Training started. Track progress at: task://status/" + id}},
		{"training by default", nil, "start_ml_training", map[string]any{"model_name": "m"}, false,
			[]string{"Starting training of model 'm' with 10000 samples by 100 epochs"}},
		{"unknown argument", nil, "start_data_migration", map[string]any{"source": "/a"}, true,
			[]string{`unknown argument "source"`, "known arguments: source_path, destination_path", "invalid_argument"}},
		{"relative path", nil, "start_data_migration",
			map[string]any{"source_path": "a.csv", "destination_path": "/b.db"}, true,
			[]string{`source_path: "a.csv" is relative`, "give an absolute path", "invalid_argument"}},
		{"refused after the first log line", func(f *fake) { f.setDown(true) }, "start_data_migration",
			map[string]any{"source_path": "/a.csv", "destination_path": "/b.db"}, true,
			[]string{"the daemon is not running", "durablectl service start", "unavailable", "Starting migration of all records"}},
		{"running", running, "get_task_status", map[string]any{"task_id": "1"}, false,
			[]string{id, "running", "34", "100", "records", "12.5", "Migrated 34/100 records", "Running, 34 %, about 3 h left", "about 1 h", "3600", "10800"}},
		{"failed", failed, "get_task_status", map[string]any{"task_id": "1"}, false,
			[]string{"failed", "line 7: 3 fields, want 4", "on_error=skip goes on without such rows", "retry_task", "get_task_output"}},
		{"wait", running, "wait_for_task", map[string]any{"task_id": "1", "timeout_seconds": 0}, false,
			[]string{"Still running", "goes on by itself", "Ask again in about 1 h"}},
		{"completed", func(f *fake) { f.add(1); f.complete(1, 5) }, "wait_for_task", map[string]any{"task_id": "1"}, false,
			[]string{"completed", `"migrated_records":5`, "nothing left to wait for"}},
		{"cancelled", func(f *fake) { f.add(1) }, "cancel_task", map[string]any{"task_id": "1"}, false,
			[]string{"Task " + id + " cancelled. Status available at: task://status/" + id, "cancelled", "retry_task", "cancelled successfully"}},
		{"not cancelled", nil, "cancel_task", map[string]any{"task_id": "77"}, true,
			[]string{"Task 77 not found or cannot be cancelled", "no task 77", "list_tasks shows", "not_found"}},
		{"list", func(f *fake) { running(f); f.add(1) }, "list_tasks", nil, false,
			[]string{id, string(fakeID(2)), "running", "pending", "queued", "34", "Migrated 34/100 records", "orders.csv -> app.db", "2"}},
		{"no tasks", nil, "list_tasks", nil, false, []string{"No tasks", "0"}},
		{"statistics", running, "get_server_stats", nil, false, []string{`"total_tasks":1`, `"running_tasks":1`, `"active_background_tasks":1`}},
		{"output", func(f *fake) { f.add(1); f.logs[fakeID(1)] = "one\ntwo\n" }, "get_task_output", map[string]any{"task_id": "1", "lines": 1}, false,
			[]string{"two", "log", "4", "8", "goes on and may write more"}},
		{"output of a command", command, "get_task_output", map[string]any{"task_id": "1", "lines": 3}, false,
			[]string{"out 1\nbad 1\nout 2\n", "stdout", "stderr", "18", "6", "the attempt goes on", "give stream and offset"}},
		{"output that is no text", func(f *fake) { f.add(1); f.logs[fakeID(1)] = " 1%\r 2%\r\x1b[32mdone\x1b[0m\x00\n" }, "get_task_output",
			map[string]any{"task_id": "1"}, false, []string{"done␀"}},
		{"no match", command, "get_task_output", map[string]any{"task_id": "1", "grep": "nowhere"}, false, []string{"No line matches"}},
		{"no regexp", command, "get_task_output", map[string]any{"task_id": "1", "grep": "(?=x)"}, true,
			[]string{"grep: error parsing regexp", "RE2", "invalid_argument"}},
		{"hole", func(f *fake) { f.add(1); f.logs[fakeID(1)] = "one\ntwo\nthree\n"; f.hole = [2]int{4, 8} }, "get_task_output",
			map[string]any{"task_id": "1", "offset": 0}, false,
			[]string{"one\n--- 4 bytes of log left out here: the log has outgrown its limit ---\nthree\n", "14"}},
		{"retry", failed, "retry_task", map[string]any{"task_id": "1"}, false,
			[]string{string(fakeID(2)), "task://status/" + string(fakeID(2)), id, "pending"}},
		{"command failed", func(f *fake) {
			f.add(1)
			f.change(1, task.EventStatus, func(t *task.Task) {
				t.Kind, t.Status, t.Outcome = "command", task.StatusFailed, task.OutcomeFailed
				t.Error = &task.Error{Code: task.Unavailable, Message: "exit status 7",
					Details: map[string]any{"exit_code": 7, "last_line": "ld: symbol missing"}}
			})
		}, "get_task_status", map[string]any{"task_id": "1"}, false,
			[]string{"exit status 7", "7", "ld: symbol missing", "get_task_output", "retry_task"}},
		{"command killed", func(f *fake) {
			f.add(1)
			f.change(1, task.EventStatus, func(t *task.Task) {
				t.Kind, t.Status, t.Outcome = "command", task.StatusFailed, task.OutcomeSignaled
				t.Error = &task.Error{Code: task.Unavailable, Message: "signal: segmentation fault", Details: map[string]any{"signal": "SIGSEGV"}}
			})
		}, "wait_for_task", map[string]any{"task_id": "1"}, false, []string{"signaled", "SIGSEGV", "segmentation fault"}},
		{"command ended", func(f *fake) {
			f.add(1)
			f.change(1, task.EventStatus, func(t *task.Task) {
				t.Kind, t.Status, t.Outcome = "command", task.StatusCompleted, task.OutcomeSucceeded
				t.Result = json.RawMessage(`{"exit_code":0,"duration":"3.2s"}`)
			})
		}, "wait_for_task", map[string]any{"task_id": "1"}, false,
			[]string{`"exit_code":0`, "3.2s", "ended with exit code 0", "get_task_output shows what it wrote"}},
		{"command started", nil, "start_command", map[string]any{"command": []string{"make"}, "cwd": "/src", "title": "build"}, false,
			[]string{id, "task://status/" + id, "build", "Accepted: it starts", "Tell the user; do not poll", "60"}},
		{"command awaits approval", func(f *fake) { f.asks = true }, "start_command",
			map[string]any{"command": []string{"make"}, "cwd": "/src"}, false,
			[]string{"awaiting_approval", "run /usr/bin/make in /src", "without an answer",
				"Waiting for your approval. In a terminal: durablectl approve 1 (once), durablectl approve 1 --always, or durablectl policy allow"}},
		{"no folder", nil, "start_command", map[string]any{"command": []string{"make"}}, true,
			[]string{"cwd: missing", "give an absolute path", "invalid_argument"}},
		{"input", func(f *fake) { f.add(1) }, "send_task_input", map[string]any{"task_id": "1", "text": "yes"}, false,
			[]string{"4", "next_offset", "get_task_output shows"}},
		{"pause", func(f *fake) { f.add(1) }, "pause_task", map[string]any{"task_id": "1"}, false,
			[]string{"paused", "resume_task", "durablectl resume 1"}},
		{"resume", func(f *fake) { f.add(1) }, "resume_task", map[string]any{"task_id": "1"}, false, []string{"queued", "Accepted"}},
		{"ill-typed", nil, "wait_for_task", map[string]any{"task_id": true}, true,
			[]string{"task_id: want a string, got a boolean", "Number, id, part of an id, or @last"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				svc := newFake()
				if c.prepare != nil {
					c.prepare(svc)
				}
				s := serve(t, svc, mcpserver.Options{})
				s.handshake()
				r, _ := s.call(c.tool, c.args)
				if r.IsError != c.isError {
					t.Errorf("isError = %t", r.IsError)
				}
				structured := plain(t, r.Structured)
				for _, fact := range c.facts {
					if !strings.Contains(r.text(), fact) {
						t.Errorf("the text half does not say %q:\n%s", fact, r.text())
					}
					if !strings.Contains(structured, fact) {
						t.Errorf("the structured half does not say %q:\n%s", fact, structured)
					}
				}
			})
		})
	}
}

// plain is v as JSON, and its strings once more as they are.
func plain(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.Write(b)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			fmt.Fprintln(&all, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return all.String()
}

// TestFirstContent: what clients of the tutorial's server parse stands first, and alone.
func TestFirstContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := newFake()
		s := serve(t, svc, mcpserver.Options{})
		s.handshake()
		r, _ := s.call("start_data_migration", map[string]any{"source_path": "/a.csv", "destination_path": "/b.db"})
		if r.Content[0].Text != "task://status/"+string(fakeID(1)) {
			t.Errorf("first content %q", r.Content[0].Text)
		}
		if r.Content[1].Type != "resource_link" || r.Content[1].URI != r.Content[0].Text {
			t.Errorf("second content %+v", r.Content[1])
		}
		stats, _ := s.call("get_server_stats", nil)
		if len(stats.Content) != 1 {
			t.Fatalf("%d contents, want the JSON object alone", len(stats.Content))
		}
		var got map[string]int
		if err := json.Unmarshal([]byte(stats.Content[0].Text), &got); err != nil || len(got) != 7 {
			t.Errorf("statistics %v, %v", got, err)
		}
	})
}

// maxToolsList bounds the answer to tools/list, which every session of every host pays for: 4,000 tokens when all
// tools are there, 16,000 bytes. JSON Schema has a little over four bytes a token.
const maxToolsList = 16000

func TestToolsListSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newFake(), mcpserver.Options{})
		s.handshake()
		s.start("tools/list", map[string]any{})
		line := s.said()[0]
		t.Logf("tools/list: %d bytes", len(line))
		if len(line) > maxToolsList {
			t.Errorf("tools/list has %d bytes, the limit is %d", len(line), maxToolsList)
		}
		var list struct {
			Result struct {
				Tools []struct {
					Name, Title, Description string
					Annotations              map[string]bool
					OutputSchema             json.RawMessage
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &list); err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Result.Tools {
			if tool.Title == "" || len(tool.Annotations) != 4 || tool.OutputSchema == nil {
				t.Errorf("%s: incomplete: %+v", tool.Name, tool)
			}
			if !strings.HasPrefix(tool.Description, "Durable background job") {
				t.Errorf("%s: the description does not begin with what a task is: %s", tool.Name, tool.Description)
			}
		}
	})
}
