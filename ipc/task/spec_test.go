package task_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"durable/ipc/task"
)

func TestSpecValidate(t *testing.T) {
	long := strings.Repeat("ä", task.MaxTitle)
	many := map[string]string{}
	for i := range task.MaxLabels + 1 {
		many[string(rune('a'+i))] = ""
	}
	tests := []struct {
		name string
		edit func(*task.Spec)
		want string // a part of the message; empty: valid
	}{
		{"least", func(*task.Spec) {}, ""},
		{"title at its limit", func(s *task.Spec) { s.Title = long }, ""},
		{"title", func(s *task.Spec) { s.Title = long + "x" }, "title: "},
		{"kind", func(s *task.Spec) { s.Kind = "" }, "kind: missing"},
		{"params", func(s *task.Spec) { s.Params = make(json.RawMessage, task.MaxParams+1) }, "params: "},
		{"queue", func(s *task.Spec) { s.Queue = strings.Repeat("q", task.MaxQueueLength+1) }, "queue: "},
		{"priority at its limit", func(s *task.Spec) { s.Priority = -task.MaxPriority }, ""},
		{"priority", func(s *task.Spec) { s.Priority = task.MaxPriority + 1 }, "priority: "},
		{"timeout", func(s *task.Spec) { s.Timeout = -1 }, "timeout: "},
		{"depends_on", func(s *task.Spec) { s.DependsOn = make([]task.ID, task.MaxDependsOn+1) }, "depends_on: "},
		{"labels", func(s *task.Spec) { s.Labels = many }, "labels: "},
		{"label without a name", func(s *task.Spec) { s.Labels = map[string]string{"": "x"} }, "labels: "},
		{"label's value", func(s *task.Spec) { s.Labels = map[string]string{"x": strings.Repeat("v", task.MaxLabel+1)} }, "labels: "},
		{"label at its limit", func(s *task.Spec) { s.Labels = map[string]string{"x": strings.Repeat("v", task.MaxLabel)} }, ""},
		{"restart", func(s *task.Spec) { s.Restart = "sometimes" }, "restart: "},
		{"restart never", func(s *task.Spec) { s.Restart = task.RestartNever }, ""},
		{"retry", func(s *task.Spec) { s.Retry = &task.Retry{MaxAttempts: task.MaxAttempts} }, ""},
		{"retry attempts", func(s *task.Spec) { s.Retry = &task.Retry{MaxAttempts: task.MaxAttempts + 1} }, "retry.max_attempts: "},
		{"retry below", func(s *task.Spec) { s.Retry = &task.Retry{MaxAttempts: -1} }, "retry.max_attempts: "},
		{"backoff", func(s *task.Spec) { s.Retry = &task.Retry{Backoff: -1} }, "retry: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := task.Spec{Kind: "noop"}
			tt.edit(&s)
			err := s.Validate()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, task.InvalidArgument) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want invalid_argument with %q", err, tt.want)
			}
		})
	}
}

func TestKeyValidate(t *testing.T) {
	for _, k := range []task.Key{"", "k", task.Key(anID), task.Key(strings.Repeat("k", task.MaxKey))} {
		if err := k.Validate(); err != nil {
			t.Errorf("%q: %v", k, err)
		}
	}
	for _, k := range []task.Key{"a b", "a\nb", "ä", "\x7f", task.Key(strings.Repeat("k", task.MaxKey+1))} {
		if err := k.Validate(); !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%.20q: %v, want invalid_argument", k, err)
		}
	}
}
