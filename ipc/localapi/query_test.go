package localapi

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"durable/ipc/task"
)

func TestDurationParameter(t *testing.T) {
	const forever = (math.MaxInt64/time.Second - 1) * time.Second
	tests := []struct {
		in   string
		want time.Duration
		bad  bool
	}{
		{"timeout=90s", 90 * time.Second, false},
		{"timeout=1.5", 1500 * time.Millisecond, false},
		{"timeout=-1", -time.Second, false},
		{"timeout=1e300", forever, false},
		{"timeout=-inf", -forever, false},
		{"timeout=nan", 0, true},
		{"timeout=", time.Hour, false},
		{"", time.Hour, false},
		{"timeout=1x", 0, true},
	}
	for _, tt := range tests {
		q := parseQuery(tt.in, "timeout")
		got := q.duration("timeout", time.Hour)
		if (q.err != nil) != tt.bad || (!tt.bad && got.Truncate(time.Millisecond) != tt.want) {
			t.Errorf("%s: %s %v", tt.in, got, q.err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"status=running,failed&limit=5", "follow", "label=a=b&label=c", "limit=1e9", "timeout=1e309", "status=%00", "a;b", "limit=+5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw, "status*", "label*", "limit", "timeout", "follow", "order", "cursor")
		limit := q.number("limit", task.MaxLimit)
		statuses := q.statuses()
		labels := q.labels()
		q.duration("timeout", 0)
		q.flag("follow")
		q.order()
		if q.err != nil {
			if !errors.Is(q.err, task.InvalidArgument) {
				t.Errorf("%q: %v", raw, q.err)
			}
			return
		}
		if limit < 0 || limit > task.MaxLimit {
			t.Errorf("%q: limit %d", raw, limit)
		}
		for _, s := range statuses {
			if !s.Valid() {
				t.Errorf("%q: status %q", raw, s)
			}
		}
		if _, ok := labels[""]; ok {
			t.Errorf("%q: a label without a name", raw)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"kind":"noop"}`, `{"kind":"k","timeout":1e300}`, `{"retry":{"backoff":"1h"}}`, `null`, `[]`, `{"kind":"k"} x`, "\xff", `{"labels":{"a":null}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var spec task.Spec
		r := httptest.NewRequest(http.MethodPost, "/v1/tasks", strings.NewReader(string(body)))
		if err := readJSON(r, &spec, false); err != nil && !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func TestTotalRoutes(t *testing.T) {
	h := New(task.UnimplementedService{}, Options{})
	for _, route := range []string{
		"GET /v1/info", "GET /v1/kinds", "GET /v1/stats", "GET /healthz", "GET /metrics", "POST /v1/tasks", "GET /v1/tasks",
		"GET /v1/tasks/42", "DELETE /v1/tasks/42", "GET /v1/tasks/42/wait", "GET /v1/events", "POST /v1/tasks/42/cancel",
		"POST /v1/tasks/42/pause", "POST /v1/tasks/42/resume", "POST /v1/tasks/42/retry", "POST /v1/tasks/42/approve",
		"POST /v1/tasks/42/input", "POST /v1/tasks/42/stdin", "GET /v1/tasks/42/log", "GET /v1/tasks/42/artifacts",
		"GET /v1/tasks/42/artifacts/a/b", "POST /v1/admin/backup", "POST /v1/admin/reload", "POST /v1/admin/drain",
		"POST /v1/admin/prune", "POST /v1/admin/shutdown",
	} {
		method, path, _ := strings.Cut(route, " ")
		if _, pattern := h.mux.Handler(httptest.NewRequest(method, path, nil)); pattern == "/" {
			t.Errorf("%s: no route", route)
		}
	}
}
