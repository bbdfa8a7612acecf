package noop_test

import (
	"errors"
	"testing"

	"durable/daemon/job/noop"
	"durable/ipc/task"
)

// TestPrepare: what is kept is an object of valid text, whatever was given.
func TestPrepare(t *testing.T) {
	for given, want := range map[string]string{
		"": `{"duration":"0s"}`, `null`: `{"duration":"0s"}`, `{}`: `{"duration":"0s"}`,
		" { \"steps\" : 2 ,\n\"duration\":\"90s\" } ": `{"duration":"1m30s","steps":2}`,
		"{\"fail\":\"\xff\"}":                         "{\"duration\":\"0s\",\"fail\":\"\ufffd\"}",
	} {
		plan, err := noop.Kind{}.Prepare(t.Context(), task.Spec{Kind: noop.Name, Params: []byte(given)})
		if err != nil || string(plan.Params) != want {
			t.Errorf("%q: %s, %v, want %s", given, plan.Params, err, want)
		}
	}
	for _, given := range []string{`7`, `{"duration":"-1s"}`, `{"steps":1000001}`, `{"stpes":1}`, `{"steps":"1"}`, `{} {}`, `{`} {
		if _, err := (noop.Kind{}).Prepare(t.Context(), task.Spec{Kind: noop.Name, Params: []byte(given)}); !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%s: %v", given, err)
		}
	}
}
