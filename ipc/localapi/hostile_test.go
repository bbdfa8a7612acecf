package localapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/localapi"
	"durable/ipc/task"
)

const goodSpec = `{"kind":"noop"}`

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }

// TestHints: whoever writes requests by hand learns what to write instead.
func TestHints(t *testing.T) {
	a := serve(t, &counting{}, localapi.Options{})
	for _, tt := range []struct{ method, target, body, hint string }{
		{"POST", "/v1/tasks", `{"kind":"noop","timeuot":"2h"}`, "the fields are kind, title, params"},
		{"POST", "/v1/tasks", ``, "the fields are kind, title, params"},
		{"POST", "/v1/tasks", `{"kind":`, "single quotes"},
		{"POST", "/v1/tasks", `kind=noop`, "single quotes"},
		{"POST", "/v1/tasks", goodSpec + goodSpec, "one JSON object"},
		{"POST", "/v1/admin/reload", `{"force":true}`, "no body"},
		{"GET", "/v1/tasks?state=failed", "", "this route takes status, label, kind"},
	} {
		got := a.do(tt.method, tt.target, tt.body, nil)
		if got.err == nil || !strings.Contains(got.err.Hint, tt.hint) {
			t.Errorf("%s %s %s: %s, want the hint %q", tt.method, tt.target, tt.body, got.body, tt.hint)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		edit                       func(*http.Request)
		code                       task.Code
		want                       string
	}{
		{"origin", "POST", "/v1/tasks", goodSpec, header("Origin", "http://evil.example"), task.PermissionDenied, "Origin"},
		{"empty origin", "GET", "/v1/info", "", header("Origin", ""), task.PermissionDenied, "Origin"},
		{"null origin", "GET", "/v1/info", "", header("Origin", "null"), task.PermissionDenied, "Origin"},
		{"referer", "GET", "/healthz", "", header("Referer", "http://localhost/"), task.PermissionDenied, "Referer"},
		{"host", "GET", "/v1/info", "", host("evil.example"), task.PermissionDenied, "evil.example"},
		{"host that rebinds", "GET", "/v1/info", "", host("localhost.evil.example:80"), task.PermissionDenied, "localhost.evil"},
		{"metrics for a page", "GET", "/metrics", "", header("Origin", "x"), task.PermissionDenied, "Origin"},

		{"20 MB", "POST", "/v1/tasks", `{"kind":"` + strings.Repeat("x", 20<<20) + `"}`, nil, task.InvalidArgument, "larger than"},
		{"params over their limit", "POST", "/v1/tasks", `{"kind":"k","params":"` + strings.Repeat("x", task.MaxParams) + `"}`, nil, task.InvalidArgument, "params: "},
		{"garbage", "POST", "/v1/tasks", `kind=noop`, nil, task.InvalidArgument, "not JSON"},
		{"broken off", "POST", "/v1/tasks", `{"kind":`, nil, task.InvalidArgument, "breaks off"},
		{"empty", "POST", "/v1/tasks", ``, nil, task.InvalidArgument, "empty"},
		{"unknown field", "POST", "/v1/tasks", `{"kind":"noop","timeuot":"2h"}`, nil, task.InvalidArgument, `"timeuot"`},
		{"unknown inner field", "POST", "/v1/tasks", `{"kind":"noop","retry":{"max":2}}`, nil, task.InvalidArgument, `"max"`},
		{"trailing garbage", "POST", "/v1/tasks", goodSpec + "x", nil, task.InvalidArgument, "more follows"},
		{"two values", "POST", "/v1/tasks", goodSpec + goodSpec, nil, task.InvalidArgument, "more follows"},
		{"wrong type", "POST", "/v1/tasks", `{"kind":7}`, nil, task.InvalidArgument, "kind: a number, want a string"},
		{"an array", "POST", "/v1/tasks", `[]`, nil, task.InvalidArgument, "want an object"},
		{"bad duration", "POST", "/v1/tasks", `{"kind":"k","timeout":"soon"}`, nil, task.InvalidArgument, "soon"},
		{"bad time", "POST", "/v1/tasks", `{"kind":"k","run_at":"tomorrow"}`, nil, task.InvalidArgument, "tomorrow"},
		{"deep", "POST", "/v1/tasks", `{"kind":"k","params":` + strings.Repeat("[", 100_000) + `}`, nil, task.InvalidArgument, "depth"},
		{"no kind", "POST", "/v1/tasks", `{}`, nil, task.InvalidArgument, "kind: missing"},
		{"a form", "POST", "/v1/tasks", goodSpec, header("Content-Type", "application/x-www-form-urlencoded"), task.InvalidArgument, "content type"},
		{"plain text", "POST", "/v1/tasks/1/cancel", `{}`, header("Content-Type", "text/plain"), task.InvalidArgument, "content type"},
		{"key with a space", "POST", "/v1/tasks", goodSpec, header("Idempotency-Key", "a b"), task.InvalidArgument, "idempotency key"},
		{"key too long", "POST", "/v1/tasks/1/cancel", "", header("Idempotency-Key", strings.Repeat("k", 256)), task.InvalidArgument, "idempotency key"},
		{"a body for reload", "POST", "/v1/admin/reload", `{"force":true}`, nil, task.InvalidArgument, `"force"`},

		{"old client", "GET", "/v1/info", "", header("Durable-API", "0"), task.VersionSkew, "API 0"},
		{"API no number", "GET", "/v1/info", "", header("Durable-API", "one"), task.InvalidArgument, "one"},

		{"no such route", "GET", "/v2/tasks", "", nil, task.NotFound, "/v2/tasks"},
		{"root", "GET", "/", "", nil, task.NotFound, "no such route"},
		{"not a task", "GET", "/v1/tasks/%2e%2e%2fetc", "", nil, task.InvalidArgument, "../etc"},
		{"not a task to cancel", "POST", "/v1/tasks/no!/cancel", "", nil, task.InvalidArgument, "no!"},

		{"status", "GET", "/v1/tasks?status=done", "", nil, task.InvalidArgument, "done"},
		{"limit", "GET", "/v1/tasks?limit=5000", "", nil, task.InvalidArgument, "0 to 1000"},
		{"negative limit", "GET", "/v1/tasks?limit=-1", "", nil, task.InvalidArgument, "limit"},
		{"huge limit", "GET", "/v1/tasks?limit=99999999999999999999", "", nil, task.InvalidArgument, "limit"},
		{"unknown parameter", "GET", "/v1/tasks?state=failed", "", nil, task.InvalidArgument, `"state"`},
		{"given twice", "GET", "/v1/tasks?kind=a&kind=b", "", nil, task.InvalidArgument, "2 times"},
		{"bad escape", "GET", "/v1/tasks?kind=%zz", "", nil, task.InvalidArgument, "query"},
		{"order", "GET", "/v1/tasks?order=random", "", nil, task.InvalidArgument, "random"},
		{"label", "GET", "/v1/tasks?label=x", "", nil, task.InvalidArgument, "NAME=VALUE"},
		{"timeout", "GET", "/v1/tasks/1/wait?timeout=soon", "", nil, task.InvalidArgument, "soon"},
		{"follow", "GET", "/v1/events?follow=maybe", "", nil, task.InvalidArgument, "maybe"},
		{"event task", "GET", "/v1/events?task=?", "", nil, task.InvalidArgument, "want a number"},
		{"log offset", "GET", "/v1/tasks/1/log?offset=-5", "", nil, task.InvalidArgument, "offset"},
		{"offset and tail", "GET", "/v1/tasks/1/log?offset=5&tail=5", "", nil, task.InvalidArgument, "only one"},
		{"stdin before the beginning", "POST", "/v1/tasks/1/stdin?offset=-2", "x", nil, task.InvalidArgument, "offset"},
		{"no metrics", "GET", "/metrics", "", nil, task.Unimplemented, "metrics"},
	}
	svc := &counting{}
	a := serve(t, svc, localapi.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.do(tt.method, tt.target, tt.body, tt.edit)
			if got.err == nil || got.err.Code != tt.code || !strings.Contains(got.err.Message, tt.want) {
				t.Fatalf("%s %.300s, want %s with %q", got.Status, got.body, tt.code, tt.want)
			}
			if got.StatusCode != tt.code.HTTPStatus() {
				t.Errorf("status %d, want %d", got.StatusCode, tt.code.HTTPStatus())
			}
			if got.Header.Get("Durable-API") != "1" || got.Header.Get("Durable-Version") == "" || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", got.Header)
			}
		})
	}
	if svc.submits != 0 {
		t.Errorf("%d submits came through", svc.submits)
	}
	if got := a.do("POST", "/v1/tasks", goodSpec, nil); got.StatusCode != 200 {
		t.Errorf("and now a good one: %s", got.body)
	}
	if log := a.log.String(); log != "" {
		t.Errorf("bad requests fill the log: %.300s", log)
	}
}

func TestAccepted(t *testing.T) {
	svc := &counting{}
	a := serve(t, svc, localapi.Options{Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "durable_up 1")
	})})
	tests := []struct {
		name, method, target, body string
		edit                       func(*http.Request)
		want                       string
	}{
		{"curl's localhost", "POST", "/v1/tasks", goodSpec, host("localhost"), `"number":1`},
		{"localhost with port", "POST", "/v1/tasks", goodSpec, host("localhost:80"), `"number":1`},
		{"charset", "POST", "/v1/tasks", goodSpec, header("Content-Type", "application/json; charset=utf-8"), `"number":1`},
		{"space around", "POST", "/v1/tasks", "\n " + goodSpec + "\r\n\t ", nil, `"number":1`},
		{"newer client", "POST", "/v1/tasks", goodSpec, header("Durable-API", "999"), `"number":1`},
		{"healthz", "GET", "/healthz", "", nil, "ok\n"},
		{"metrics", "GET", "/metrics", "", nil, "durable_up 1"},
		{"list", "GET", "/v1/tasks", "", nil, `{"tasks":[],"total":null,"cursor":""}`},
	}
	for _, tt := range tests {
		got := a.do(tt.method, tt.target, tt.body, tt.edit)
		if got.StatusCode != 200 || !strings.Contains(got.body, tt.want) {
			t.Errorf("%s: %s %s", tt.name, got.Status, got.body)
		}
	}
}

// TestMethods: another method's route says which, in the envelope.
func TestMethods(t *testing.T) {
	a := serve(t, &counting{}, localapi.Options{})
	tests := []struct{ method, target, allow string }{
		{"PUT", "/v1/tasks", "GET, POST"},
		{"PATCH", "/v1/tasks/1", "GET, DELETE"},
		{"GET", "/v1/tasks/1/cancel", "POST"},
		{"DELETE", "/v1/info", "GET"},
		{"OPTIONS", "/v1/tasks", "GET, POST"},
	}
	for _, tt := range tests {
		got := a.do(tt.method, tt.target, "", nil)
		if got.StatusCode != 405 || got.Header.Get("Allow") != tt.allow || got.err.Code != task.InvalidArgument {
			t.Errorf("%s %s: %s, Allow %q, %s", tt.method, tt.target, got.Status, got.Header.Get("Allow"), got.body)
		}
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	a := serve(t, &counting{}, localapi.Options{})
	got := a.do("POST", "/v1/tasks", `{"kind":"k","title":"panic"}`, nil)
	if got.err == nil || got.err.Code != task.Internal || got.StatusCode != 500 || !strings.Contains(got.err.Message, "a defect") {
		t.Errorf("%s", got.body)
	}
	if log := a.log.String(); !strings.Contains(log, "a defect") || !strings.Contains(log, "hostile_test.go") && !strings.Contains(log, "harness_test.go") {
		t.Errorf("the log lacks the stack: %s", log)
	}
}

// TestConnectionLivesOn: a refusal, an error and a panic leave the connection usable.
func TestConnectionLivesOn(t *testing.T) {
	svc := &counting{}
	a := serve(t, svc, localapi.Options{})
	conn, err := net.Dial("unix", a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a.http = &http.Client{Transport: oneConn{conn, bufio.NewReader(conn)}}
	a.do("POST", "/v1/tasks", `{"kind":"k","title":"panic"}`, nil)
	a.do("POST", "/v1/tasks", `{`, nil)
	a.do("GET", "/v1/nothing", "", nil)
	a.do("GET", "/v1/info", "", header("Origin", "x"))
	if got := a.do("POST", "/v1/tasks", goodSpec, nil); got.StatusCode != 200 || got.Close {
		t.Error(got.body)
	}
}

// oneConn has one request after the other on one connection, and never another one.
type oneConn struct {
	net.Conn
	r *bufio.Reader
}

func (c oneConn) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Write(c); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.r, r)
}

func TestCallerIsTheKernelsWord(t *testing.T) {
	svc := &counting{}
	a := serve(t, svc, localapi.Options{})
	a.do("POST", "/v1/tasks", goodSpec, header("Durable-Client", "evil\u202e "+strings.Repeat("x", 500)))
	if svc.caller.UID != os.Getuid() || svc.caller.PID != os.Getpid() {
		t.Errorf("%+v", svc.caller)
	}
	if name := svc.caller.Client; !strings.HasPrefix(name, "evil ") || len(name) > 200 || strings.Contains(name, "\u202e") {
		t.Errorf("client %q", name)
	}
}

func TestNobodyIsRefused(t *testing.T) {
	svc := &counting{}
	post := func(opts localapi.Options, ctx func(h *localapi.Handler) context.Context) *httptest.ResponseRecorder {
		h := localapi.New(svc, opts)
		r := httptest.NewRequest("POST", "http://durable/v1/tasks", strings.NewReader(goodSpec))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(ctx(h)))
		return w
	}
	none := func(*localapi.Handler) context.Context { return context.Background() }
	if w := post(localapi.Options{}, none); w.Code != 401 {
		t.Errorf("without ConnContext: %d", w.Code)
	}
	tcp, other := net.Pipe()
	defer tcp.Close()
	defer other.Close()
	if w := post(localapi.Options{}, func(h *localapi.Handler) context.Context { return h.ConnContext(context.Background(), tcp) }); w.Code != 401 {
		t.Errorf("a connection without credentials: %d", w.Code)
	}
	if w := post(localapi.Options{Caller: &task.Caller{UID: os.Geteuid() + 1}}, none); w.Code != 403 {
		t.Errorf("another user: %d", w.Code)
	}
	if svc.submits != 0 {
		t.Errorf("%d submits came through", svc.submits)
	}
	admit := func(c task.Caller) error { return nil }
	if w := post(localapi.Options{Caller: &task.Caller{UID: 7}, Admit: admit}, none); w.Code != 200 || svc.caller.UID != 7 {
		t.Errorf("admitted: %d %+v", w.Code, svc.caller)
	}
}

func TestListQuery(t *testing.T) {
	svc := &counting{}
	a := serve(t, svc, localapi.Options{})
	a.do("GET", "/v1/tasks?status=Running,failed&status=FAILED&status=&kind=k&limit=3&label=a%3Db%3Dc&order=Ended&root=r&cursor=x%20y", "", nil)
	want := task.ListQuery{Status: []task.Status{task.StatusRunning, task.StatusFailed}, Kind: "k", Root: "r",
		Labels: map[string]string{"a": "b=c"}, Order: task.OrderEnded, Limit: 3, Cursor: "x y"}
	if diff := cmp.Diff(want, svc.query); diff != "" {
		t.Error(diff)
	}
}

// broken fails in the middle of what it sends.
type broken struct {
	task.UnimplementedService
}

type brokenStream struct{ n int }

func (s *brokenStream) Close() error { return nil }
func (s *brokenStream) Next() (task.Event, error) {
	if s.n++; s.n > 3 {
		return task.Event{}, task.Errorf(task.Unavailable, "the daemon is leaving").WithHint("wait")
	}
	return task.Event{Type: task.EventKinds, Cursor: task.Cursor(fmt.Sprint(s.n))}, nil
}

func (broken) Events(context.Context, task.EventQuery) (task.EventStream, error) {
	return &brokenStream{}, nil
}

func (broken) Log(context.Context, task.Ref, task.LogQuery) (task.Log, error) {
	body := io.MultiReader(strings.NewReader("half"), errReader{})
	return task.Log{Stream: "log", Body: io.NopCloser(body)}, nil
}

func (broken) OpenArtifact(context.Context, task.Ref, string) (task.Artifact, io.ReadCloser, error) {
	return task.Artifact{Size: 100}, io.NopCloser(strings.NewReader("too short")), nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

func TestEventsEndWithTheirError(t *testing.T) {
	got := serve(t, broken{}, localapi.Options{}).do("GET", "/v1/events?follow", "", nil)
	lines := strings.Split(strings.TrimSpace(got.body), "\n")
	if len(lines) != 4 || lines[3] != `{"error":{"code":"unavailable","message":"the daemon is leaving","hint":"wait"}}` {
		t.Errorf("%d lines: %s", len(lines), got.body)
	}
	if got.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%v", got.Header)
	}
}

// TestWhatBreaksOffDoesNotLookWhole: a log or a file that could not be read to its end.
func TestWhatBreaksOffDoesNotLookWhole(t *testing.T) {
	a := serve(t, broken{}, localapi.Options{})
	for _, target := range []string{"/v1/tasks/1/log", "/v1/tasks/1/log?follow=1", "/v1/tasks/1/artifacts/a"} {
		resp, err := a.http.Get("http://durable" + target)
		if err != nil {
			continue // broken off before the first byte left: seen, too
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("%s: %q looks whole", target, b)
		}
	}
}
