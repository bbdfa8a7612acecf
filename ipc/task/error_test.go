package task_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

// codes is what each code means to HTTP, to MCP and to a shell.
var codes = map[task.Code]struct {
	http int
	mcp  int64
	exit int
}{
	task.InvalidArgument:    {400, -32602, 2},
	task.NotFound:           {404, -32002, 3},
	task.Conflict:           {409, -32602, 5},
	task.FailedPrecondition: {412, -32602, 5},
	task.OutOfRange:         {416, -32602, 1},
	task.Unauthenticated:    {401, -32603, 5},
	task.PermissionDenied:   {403, -32603, 5},
	task.ResourceExhausted:  {507, -32603, 5},
	task.Unavailable:        {503, -32603, 4},
	task.Unimplemented:      {501, -32601, 1},
	task.VersionSkew:        {426, -32603, 4},
	task.Internal:           {500, -32603, 1},
}

func TestCodeTablesAreTotal(t *testing.T) {
	if len(task.Codes) != len(codes) {
		t.Errorf("%d codes, want %d", len(task.Codes), len(codes))
	}
	byHTTP := map[int]task.Code{}
	for _, c := range task.Codes {
		want, ok := codes[c]
		if !ok {
			t.Errorf("%s: not in the test", c)
			continue
		}
		if c.HTTPStatus() != want.http || c.MCP() != want.mcp || c.ExitStatus() != want.exit {
			t.Errorf("%s: %d %d %d, want %v", c, c.HTTPStatus(), c.MCP(), c.ExitStatus(), want)
		}
		if other, taken := byHTTP[c.HTTPStatus()]; taken {
			t.Errorf("%s and %s share HTTP status %d", c, other, c.HTTPStatus())
		}
		byHTTP[c.HTTPStatus()] = c
		if c.ExitStatus() == 0 {
			t.Errorf("%s: exit status 0", c)
		}
	}
	if c := task.Code("new"); c.HTTPStatus() != 500 || c.MCP() != -32603 || c.ExitStatus() != 1 {
		t.Errorf("unknown code: %d %d %d", c.HTTPStatus(), c.MCP(), c.ExitStatus())
	}
}

func TestErrorRoundTrip(t *testing.T) {
	for _, c := range task.Codes {
		in := task.Errorf(c, "task %d: %s", 42, "no").WithHint("try %s", "this").WithDetail("n", 1.0)
		b, err := json.Marshal(task.Envelope{Error: in})
		if err != nil {
			t.Fatal(err)
		}
		var out task.Envelope
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, out.Error); diff != "" {
			t.Errorf("%s: %s", c, diff)
		}
		for _, other := range task.Codes {
			if errors.Is(out.Error, other) != (other == c) {
				t.Errorf("errors.Is(%s, %s) = %v", c, other, other != c)
			}
		}
	}
}

func TestErrorfKeepsCauses(t *testing.T) {
	one := task.Errorf(task.Internal, "read: %w", io.ErrUnexpectedEOF)
	two := task.Errorf(task.Internal, "%w and %w", io.EOF, io.ErrClosedPipe)
	none := task.Errorf(task.Internal, "plain")
	if !errors.Is(one, io.ErrUnexpectedEOF) || !errors.Is(two, io.EOF) || !errors.Is(two, io.ErrClosedPipe) {
		t.Error("a cause is lost")
	}
	if none.Err != nil {
		t.Errorf("cause of a plain error: %v", none.Err)
	}
}

func TestAsError(t *testing.T) {
	own := task.Errorf(task.NotFound, "no task 7").WithHint("list them").WithDetail("k", "v")
	tests := []struct {
		name string
		in   error
		want *task.Error
	}{
		{"nil", nil, nil},
		{"own", own, own},
		{"wrapped", fmt.Errorf("cancel: %w", own),
			&task.Error{Code: task.NotFound, Message: "cancel: no task 7", Hint: "list them", Details: own.Details}},
		{"code", fmt.Errorf("no: %w", task.Conflict), &task.Error{Code: task.Conflict, Message: "no: conflict"}},
		{"foreign", io.EOF, &task.Error{Code: task.Internal, Message: "EOF"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := task.AsError(tt.in)
			if tt.in != nil && !errors.Is(got, tt.in) && got != own {
				t.Errorf("the cause is lost")
			}
			if got != nil && got != own {
				got.Err = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOutcomeUnknown(t *testing.T) {
	e := task.OutcomeUnknown(io.ErrShortWrite)
	if !errors.Is(e, task.Unavailable) || !errors.Is(e, io.ErrShortWrite) || e.Details[task.DetailOutcome] != "unknown" || e.Hint == "" {
		t.Errorf("%+v", e)
	}
}
