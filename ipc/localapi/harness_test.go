package localapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is the handler behind a real socket, as curl sees it.
type api struct {
	t    testing.TB
	http *http.Client
	log  *safeBuffer
	path string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serve(t testing.TB, svc task.Service, opts localapi.Options) *api {
	t.Helper()
	log := &safeBuffer{}
	opts.Log = slog.New(slog.NewTextHandler(log, nil))
	a := listen(t, localapi.New(svc, opts).Server())
	a.log = log
	return a
}

// listen runs srv on a socket until the test ends.
func listen(t testing.TB, srv *http.Server) *api {
	t.Helper()
	d, err := os.MkdirTemp("/tmp", "d")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d, "s")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	tr := &http.Transport{
		MaxIdleConnsPerHost: 128,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		<-done
		os.RemoveAll(d)
	})
	return &api{t: t, http: &http.Client{Transport: tr}, path: path}
}

// answer is a response, read.
type answer struct {
	*http.Response
	body string
	err  *task.Error
}

// do sends one request; edit may be nil.
func (a *api) do(method, target, body string, edit func(*http.Request)) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://durable"+target, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if edit != nil {
		edit(req)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	got := answer{Response: resp, body: string(b)}
	if resp.StatusCode >= 400 {
		var env task.Envelope
		if err := json.Unmarshal(b, &env); err != nil || env.Error == nil {
			a.t.Fatalf("%s %s: %s without an envelope: %s", method, target, resp.Status, b)
		}
		got.err = env.Error
	}
	return got
}

// counting accepts every submit and remembers the last query and caller.
type counting struct {
	task.UnimplementedService
	mu      sync.Mutex
	submits int
	caller  task.Caller
	query   task.ListQuery
}

func (c *counting) Submit(ctx context.Context, s task.Spec, _ task.Key) (task.Task, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.submits++
	c.caller, _ = task.CallerFrom(ctx)
	if s.Title == "panic" {
		panic("a defect")
	}
	return task.Task{ID: "019a0000-0000-7000-8000-000000000001", Number: 1, Kind: s.Kind, Title: s.Title,
		Status: task.StatusPending, Phase: task.PhaseQueued, Params: s.Params}, nil
}

func (c *counting) List(_ context.Context, q task.ListQuery) (task.TaskList, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.query = q
	return task.TaskList{}, nil
}
