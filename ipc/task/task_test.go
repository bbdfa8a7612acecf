package task_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

func TestDurationJSON(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		in   string
		want time.Duration
		bad  bool
	}{
		{`"1h2m3s"`, time.Hour + 2*time.Minute + 3*time.Second, false},
		{`"0s"`, 0, false},
		{`"-5s"`, -5 * time.Second, false},
		{`90`, 90 * time.Second, false},
		{`0.25`, 250 * time.Millisecond, false},
		{`null`, 0, false},
		{`8640000`, 100 * day, false},
		{`1e300`, 0, true},
		{`-1e300`, 0, true},
		{`9223372036.9`, 0, true},
		{`"90"`, 0, true},
		{`"soon"`, 0, true},
		{`""`, 0, true},
		{`true`, 0, true},
		{`{}`, 0, true},
	}
	for _, tt := range tests {
		var d task.Duration
		err := json.Unmarshal([]byte(tt.in), &d)
		if tt.bad {
			if !errors.Is(err, task.InvalidArgument) {
				t.Errorf("%s: %v, want invalid_argument", tt.in, err)
			}
			continue
		}
		if err != nil || time.Duration(d) != tt.want {
			t.Errorf("%s: %s %v, want %s", tt.in, d, err, tt.want)
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back task.Duration
		if err := json.Unmarshal(again, &back); err != nil || back != d {
			t.Errorf("%s: round trip %s: %s %v", tt.in, again, back, err)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{`"1h"`, `3.5`, `null`, `"-9223372036854775808ns"`, `1e18`, `[]`, `9223372036`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d task.Duration
		if json.Unmarshal(b, &d) != nil {
			return
		}
		var v any
		if json.Unmarshal(b, &v) == nil {
			if n, ok := v.(float64); ok && math.Abs(time.Duration(d).Seconds()-n) > 1+math.Abs(n)*1e-9 {
				t.Errorf("%s seconds read as %s", b, d)
			}
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back task.Duration
		if err := json.Unmarshal(again, &back); err != nil || back != d {
			t.Errorf("%s -> %s -> %s %v", b, again, back, err)
		}
	})
}

func TestPercent(t *testing.T) {
	tests := []struct {
		p    task.Progress
		want float64
		ok   bool
	}{
		{task.Progress{Done: 5}, 0, false},
		{task.Progress{Done: 5, Total: task.Total(10)}, 50, true},
		{task.Progress{Total: task.Total(0)}, 100, true},
		{task.Progress{Done: 20, Total: task.Total(10)}, 100, true},
		{task.Progress{Done: -1, Total: task.Total(10)}, 0, true},
	}
	for _, tt := range tests {
		if got, ok := tt.p.Percent(); got != tt.want || ok != tt.ok {
			t.Errorf("%+v: %v %v, want %v %v", tt.p, got, ok, tt.want, tt.ok)
		}
	}
}

// TestTaskShape pins the JSON that /v1 promises: fields may be added here, never changed.
func TestTaskShape(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 123456000, time.UTC)
	eta := task.Duration(188 * time.Second)
	in := task.Task{
		ID: "019a0000-0000-7000-8000-000000000001", Number: 42, Kind: "command", Title: "nightly build",
		Status: task.StatusRunning, Phase: task.PhaseRunning, Attempt: 1,
		Progress: task.Progress{Done: 3400, Total: task.Total(100000), Unit: "records", Rate: 512.5, ETA: &eta},
		Params:   json.RawMessage(`{}`), Labels: map[string]string{}, Queue: "default",
		Owner: task.Owner{UID: 1000, Client: "claude-ai 0.14"}, CreatedAt: at, StartedAt: &at, UpdatedAt: at,
	}
	const want = `{"id":"019a0000-0000-7000-8000-000000000001","number":42,"kind":"command","title":"nightly build",` +
		`"status":"running","phase":"running","outcome":"","attempt":1,` +
		`"progress":{"done":3400,"total":100000,"unit":"records","rate":512.5,"eta":"3m8s"},` +
		`"result":null,"error":null,"last_error":null,"params":{},"labels":{},"queue":"default","priority":0,` +
		`"owner":{"uid":1000,"client":"claude-ai 0.14"},` +
		`"created_at":"2026-11-22T20:00:00.123456Z","started_at":"2026-11-22T20:00:00.123456Z",` +
		`"updated_at":"2026-11-22T20:00:00.123456Z","completed_at":null}`
	got, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestSummaryTellsTheErrorThatCounts(t *testing.T) {
	last := task.Errorf(task.Internal, "last")
	end := task.Errorf(task.Internal, "end")
	tests := []struct {
		t    task.Task
		want string
	}{
		{task.Task{Status: task.StatusFailed, Error: end, LastError: last}, "end"},
		{task.Task{Status: task.StatusPending, LastError: last}, "last"},
		{task.Task{Status: task.StatusCompleted, LastError: last}, ""},
	}
	for _, tt := range tests {
		if got := tt.t.Summary().Error; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.t.Status, got, tt.want)
		}
	}
}
