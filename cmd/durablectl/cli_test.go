package main

import (
	"bytes"
	"testing"

	"durable/ipc/task"
)

// TestReport: an error of several lines, such as all that is wrong with a configuration, stays readable.
func TestReport(t *testing.T) {
	var out bytes.Buffer
	c := &cli{err: &out}
	c.report(task.Errorf(task.InvalidArgument, "config.toml:3:1: unknown key\n\nconfig.toml:7:1: \x1b[2Junknown").WithHint("look there"))
	const want = "durablectl: error: config.toml:3:1: unknown key\n  config.toml:7:1: [2Junknown\nhint: look there\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.Reset()
	c.report(task.Errorf(task.Internal, "one line"))
	if got := out.String(); got != "durablectl: error: one line\n" {
		t.Errorf("got %q", got)
	}
}
