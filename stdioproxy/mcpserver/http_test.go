package mcpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// patience bounds every wait for something that must happen; only a hanging test meets it.
const patience = time.Minute

// modern is a version without sessions.
const modern = "2026-07-28"

// site is the surface over real HTTP.
type site struct {
	t       *testing.T
	svc     *webFake
	surface *mcpserver.HTTP
	url     string
	client  *http.Client
}

// webFake also notes who submits, and that somebody waits.
type webFake struct {
	*fake
	callers chan task.Caller
	waiting chan struct{}
}

func (f *webFake) Submit(ctx context.Context, spec task.Spec, key task.Key) (task.Task, error) {
	caller, _ := task.CallerFrom(ctx)
	select {
	case f.callers <- caller:
	default:
	}
	return f.fake.Submit(ctx, spec, key)
}

func (f *webFake) Wait(ctx context.Context, ref task.Ref, timeout time.Duration) (task.Task, error) {
	select {
	case f.waiting <- struct{}{}:
	default:
	}
	return f.fake.Wait(ctx, ref, timeout)
}

func serveHTTP(t *testing.T, opts mcpserver.HTTPOptions, more ...func(*mcpserver.Options)) *site {
	t.Helper()
	svc := &webFake{fake: newFake(), callers: make(chan task.Caller, 1), waiting: make(chan struct{}, 1)}
	options := mcpserver.Options{Legacy: true, Version: "v0.0.0-test"}
	for _, change := range more {
		change(&options)
	}
	server := mcpserver.New(svc, options)
	s := &site{t: t, svc: svc, surface: server.HTTP(opts), client: &http.Client{Transport: &http.Transport{}}}
	listener := httptest.NewServer(s.surface)
	s.url = listener.URL + mcpserver.HTTPPath
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.surface.Drain(ctx)
		listener.Close()
		server.Close()
	})
	return s
}

// do sends one request; an empty session is left out.
func (s *site) do(method, session, body string) *http.Response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	if strings.Contains(body, modern) {
		r.Header.Set("Mcp-Protocol-Version", modern)
		r.Header.Set("Mcp-Method", "server/discover")
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return res
}

// post sends a message and returns the status and what came back, one string for each event.
func (s *site) post(session, body string) (int, []string) {
	s.t.Helper()
	res := s.do(http.MethodPost, session, body)
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var events []string
	for line := range strings.Lines(string(all)) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			events = append(events, strings.TrimSpace(data))
		}
	}
	if events == nil {
		events = []string{string(all)}
	}
	return res.StatusCode, events
}

// begin does the handshake and returns the session's ID.
func (s *site) begin() string {
	s.t.Helper()
	res := s.do(http.MethodPost, "", initialize)
	// The session that is to go may have its answer, and its request not be over yet.
	for stop := time.Now().Add(patience); res.StatusCode == http.StatusServiceUnavailable && time.Now().Before(stop); {
		res.Body.Close()
		res = s.do(http.MethodPost, "", initialize)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	session := res.Header.Get("Mcp-Session-Id")
	if res.StatusCode != http.StatusOK || session == "" {
		s.t.Fatalf("initialize: %d, session %q", res.StatusCode, session)
	}
	if status, _ := s.post(session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`); status != http.StatusAccepted {
		s.t.Fatalf("initialized: %d", status)
	}
	return session
}

// listener is a session's stream of its own.
type listener struct {
	t      *testing.T
	events chan string
	stop   func()
}

// listen opens the stream; it is closed with the test.
func (s *site) listen(session string) *listener {
	s.t.Helper()
	res := s.do(http.MethodGet, session, "")
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("stream: %d", res.StatusCode)
	}
	l := &listener{t: s.t, events: make(chan string, 100)}
	var done sync.WaitGroup
	done.Go(func() {
		defer close(l.events)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				l.events <- data
			}
		}
	})
	l.stop = sync.OnceFunc(func() {
		res.Body.Close()
		done.Wait()
	})
	s.t.Cleanup(l.stop)
	return l
}

// until reads on until something with all the words has come.
func (l *listener) until(words ...string) string {
	l.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case event, ok := <-l.events:
			if !ok {
				l.t.Fatalf("the stream has ended before %q came", words)
			}
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(event, w) }) {
				return event
			}
		case <-limit:
			l.t.Fatalf("nothing with %q came", words)
		}
	}
}

// ended waits for the end of the stream.
func (l *listener) ended() {
	l.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case _, ok := <-l.events:
			if !ok {
				return
			}
		case <-limit:
			l.t.Fatal("the stream goes on")
		}
	}
}

const startMigration = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"start_data_migration",` +
	`"arguments":{"source_path":"/data/a.csv","destination_path":"/data/b.csv","record_count":10}}}`

// TestHTTPLogs: the log notifications of a call come with its answer, the one at the end on the session's own stream, also
// where that is opened after the end; no client has to ask for a level.
func TestHTTPLogs(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := serveHTTP(t, mcpserver.HTTPOptions{})
		session := s.begin()
		var stream *listener
		if !late {
			stream = s.listen(session)
		}
		status, events := s.post(session, startMigration)
		if status != http.StatusOK || len(events) != 3 {
			t.Fatalf("start: %d, %d events: %v", status, len(events), events)
		}
		for i, text := range []string{"Starting migration of 10 records from /data/a.csv to /data/b.csv",
			"Data migration started. Track progress at: task://status/" + string(fakeID(1))} {
			want, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "notifications/message", "params": map[string]any{
				"level": "info", "logger": "durable", "data": map[string]any{"msg": text, "extra": nil}}})
			if !sameJSON(t, []byte(events[i]), want) {
				t.Errorf("notification %d: %s", i, events[i])
			}
		}
		s.svc.complete(1, 10)
		if late {
			stream = s.listen(session)
		}
		stream.until("notifications/message", `"msg":"Data migration completed: 10 records"`, `"extra":null`)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

// TestHTTPSubscription: changes arrive on the stream; a stream that is opened again hears that something may have changed.
func TestHTTPSubscription(t *testing.T) {
	s := serveHTTP(t, mcpserver.HTTPOptions{})
	session := s.begin()
	s.post(session, startMigration)
	uri := "task://status/" + string(fakeID(1))
	if status, events := s.post(session, `{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"`+uri+`"}}`); status != http.StatusOK {
		t.Fatalf("subscribe: %d %v", status, events)
	}
	first := s.listen(session)
	first.until("notifications/resources/updated", uri) // nobody knows what was missed
	s.svc.progress(1, 5, 10)
	first.until("notifications/resources/updated", uri)
	first.stop()
	for stop := time.Now().Add(patience); ; { // the server has to notice that the first one is gone
		res := s.do(http.MethodGet, session, "")
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			break
		}
		if res.StatusCode != http.StatusConflict || time.Now().After(stop) {
			t.Fatalf("second stream: %d", res.StatusCode)
		}
	}
	if status, events := s.post(session, `{"jsonrpc":"2.0","id":4,"method":"resources/read","params":{"uri":"`+uri+`"}}`); status != http.StatusOK || !strings.Contains(events[0], "Migrated 5/10 records") {
		t.Errorf("read: %d %v", status, events)
	}
}

// TestHTTPCaller: the service hears who calls, and through which door.
func TestHTTPCaller(t *testing.T) {
	var mu sync.Mutex
	var names []string
	s := serveHTTP(t, mcpserver.HTTPOptions{}, func(o *mcpserver.Options) {
		o.Caller = func(client string) task.Caller {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, client)
			return task.Caller{UID: 7, Client: client, Via: task.ViaMCP}
		}
	})
	s.post(s.begin(), startMigration)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(names, "test 1") {
		t.Errorf("callers: %q", names)
	}
	if got := <-s.svc.callers; got.UID != 7 || got.Client != "test 1" || got.Via != task.ViaMCP {
		t.Errorf("the service was called by %+v", got)
	}
}

// TestHTTPRefusals: what is no request of ours gets a status and a word.
func TestHTTPRefusals(t *testing.T) {
	s := serveHTTP(t, mcpserver.HTTPOptions{})
	session := s.begin()
	for name, c := range map[string]struct {
		method, session, body string
		status                int
		text                  string
	}{
		"unknown session": {http.MethodPost, "nobody", startMigration, http.StatusNotFound, "initialize again"},
		"unknown stream":  {http.MethodGet, "nobody", "", http.StatusNotFound, "initialize again"},
		"no session":      {http.MethodGet, "", "", http.StatusBadRequest, ""},
		"too long":        {http.MethodPost, session, `{"jsonrpc":"2.0","x":"` + strings.Repeat("x", mcpserver.MaxBody) + `"}`, http.StatusRequestEntityTooLarge, "4194304"},
		"no JSON":         {http.MethodPost, session, "{", http.StatusBadRequest, ""},
		"put":             {http.MethodPut, session, "", http.StatusMethodNotAllowed, ""},
		"relative path": {http.MethodPost, session, strings.ReplaceAll(startMigration, "/data/a.csv", "a.csv"), http.StatusOK,
			"give an absolute path"},
		"discover": {http.MethodPost, "", `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{` +
			`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`, http.StatusBadRequest, "-32022"},
	} {
		res := s.do(c.method, c.session, c.body)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(body), c.text) {
			t.Errorf("%s: %d %.300q, %v; want %d with %q", name, res.StatusCode, body, err, c.status, c.text)
		}
	}
	if status, events := s.post(session, `{"jsonrpc":"2.0","id":9,"method":"ping"}`); status != http.StatusOK {
		t.Errorf("the session after that: %d %v", status, events)
	}
}

// TestHTTPSessions: a session ends when the client says so, when nobody has used it for a while, or when there are too
// many and nobody uses it; never while its stream is open.
func TestHTTPSessions(t *testing.T) {
	t.Run("delete", func(t *testing.T) {
		s := serveHTTP(t, mcpserver.HTTPOptions{})
		session := s.begin()
		stream := s.listen(session)
		res := s.do(http.MethodDelete, session, "")
		res.Body.Close()
		if res.StatusCode != http.StatusNoContent {
			t.Errorf("delete: %d", res.StatusCode)
		}
		stream.ended()
		if status, _ := s.post(session, startMigration); status != http.StatusNotFound {
			t.Errorf("a call afterwards: %d", status)
		}
	})
	t.Run("idle", func(t *testing.T) {
		s := serveHTTP(t, mcpserver.HTTPOptions{Idle: time.Nanosecond})
		session := s.begin0()
		for stop := time.Now().Add(patience); ; {
			status, _ := s.post(session, `{"jsonrpc":"2.0","id":9,"method":"ping"}`)
			if status == http.StatusNotFound {
				break
			}
			if time.Now().After(stop) {
				t.Fatalf("the session lives on: %d", status)
			}
		}
	})
	t.Run("too many", func(t *testing.T) {
		s := serveHTTP(t, mcpserver.HTTPOptions{MaxSessions: 2})
		watched, idle := s.begin(), s.begin()
		stream := s.listen(watched)
		third := s.begin() // for which the idle one goes
		if status, _ := s.post(idle, `{"jsonrpc":"2.0","id":9,"method":"ping"}`); status != http.StatusNotFound {
			t.Errorf("the idle session: %d", status)
		}
		s.listen(third)
		if status, events := s.post("", initialize); status != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d %v", status, events)
		}
		s.post(watched, startMigration)
		s.svc.complete(1, 10)
		stream.until("Data migration completed: 10 records")
	})
}

// begin0 is begin for a session that may have ended by the time that anybody says initialized.
func (s *site) begin0() string {
	s.t.Helper()
	res := s.do(http.MethodPost, "", initialize)
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.Header.Get("Mcp-Session-Id")
}

// TestHTTPDrain: streams end at once, a call that waits gets its answer when nothing is to be waited for any more.
func TestHTTPDrain(t *testing.T) {
	s := serveHTTP(t, mcpserver.HTTPOptions{})
	quiet, busy := s.begin(), s.begin()
	stream := s.listen(quiet)
	s.post(busy, startMigration)
	answered := make(chan []string, 1)
	go func() {
		_, events := s.post(busy, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"wait_for_task","arguments":{"task_id":"1"}}}`)
		answered <- events
	}()
	select {
	case <-s.svc.waiting:
	case <-time.After(patience):
		t.Fatal("nobody waits")
	}
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan struct{})
	go func() {
		s.surface.Drain(ctx)
		close(drained)
	}()
	stream.ended()
	select {
	case <-drained:
		t.Error("drained before the call has ended")
	default:
	}
	if status, _ := s.post("", initialize); status != http.StatusServiceUnavailable {
		t.Errorf("a new session: %d", status)
	}
	cancel()
	<-drained
	select {
	case events := <-answered:
		if len(events) == 0 || !strings.Contains(events[len(events)-1], `"id":5`) {
			t.Errorf("the call's answer: %q", events)
		}
	case <-time.After(patience):
		t.Error("the call goes on")
	}
}
