package mcpserver_test

import (
	"strings"
	"testing"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// TestBatchParams: what a model says of a batch reaches the kind, and the tutorial's log lines are said.
func TestBatchParams(t *testing.T) {
	bubble(t, mcpserver.Options{Base: "/project", Home: "/home/ann"}, func(t *testing.T, s *session, svc *fake) {
		for _, c := range []struct {
			args       map[string]any
			want, says string
		}{
			{map[string]any{"batch_size": 50, "total_items": 500, "processing_delay": 0.3},
				`{"batch_size":50,"processing_delay":0.3,"total_items":500}`, "Starting batch processing: 500 items in batches of 50"},
			{map[string]any{"input": "urls.txt", "command": []string{"curl", "{item}"}, "on_error": "stop", "env": map[string]any{"A": "b"}},
				`{"command":["curl","{item}"],"cwd":"/project","env":{"A":"b"},"input":"/project/urls.txt","on_error":"stop"}`,
				"Starting batch processing: all items in batches of 1"},
		} {
			r, before := s.call("start_batch_processing", c.args)
			if r.IsError || !strings.HasPrefix(r.Content[0].Text, "task://status/") {
				t.Errorf("%v: %+v", c.args, r)
			}
			spec := svc.specs[len(svc.specs)-1]
			if spec.Kind != "batch_processing" || string(spec.Params) != c.want {
				t.Errorf("%s with %s, want %s", spec.Kind, spec.Params, c.want)
			}
			var said []string
			for _, m := range before {
				said = append(said, string(m.Params))
			}
			all := strings.Join(said, "\n")
			if !strings.Contains(all, c.says) || !strings.Contains(all, "Batch processing started. Track progress at: "+r.Content[0].Text) {
				t.Errorf("said %s", all)
			}
		}
	})
}

// TestBatchCompleted: the session that started a batch hears of its end in the tutorial's words.
func TestBatchCompleted(t *testing.T) {
	level, text := mcpserver.Epilogue(task.Task{Kind: "batch_processing", Status: task.StatusCompleted, Result: []byte(`{"processed":500}`)})
	if level != "info" || text != "Batch processing completed: 500 items" {
		t.Errorf("%s: %s", level, text)
	}
}
