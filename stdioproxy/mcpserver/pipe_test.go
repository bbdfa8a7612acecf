package mcpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// pipe is a Framer in memory, and the host's end of it.
type pipe struct {
	in     chan []byte
	bad    chan error
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	out    []string
	broken bool
}

func newPipe() *pipe {
	return &pipe{in: make(chan []byte), bad: make(chan error), closed: make(chan struct{})}
}

func (p *pipe) Read() ([]byte, error) {
	select {
	case b, ok := <-p.in:
		if !ok {
			return nil, io.EOF
		}
		return b, nil
	case err := <-p.bad:
		return nil, err
	case <-p.closed:
		return nil, io.EOF
	}
}

var errBroken = errors.New("nobody reads")

func (p *pipe) Write(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return errBroken
	}
	p.out = append(p.out, string(b))
	return nil
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// said returns what the server has written since the last call.
func (p *pipe) said() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	p.out = nil
	return out
}

// session is a served session in a synctest bubble.
type session struct {
	*pipe
	t      *testing.T
	svc    *fake
	server *mcpserver.Server
	cancel context.CancelFunc
	done   chan error
	id     int
}

func serve(t *testing.T, svc *fake, opts mcpserver.Options) *session {
	t.Helper()
	return serveOn(t, svc, svc, opts)
}

// serveOn is serve on another service, behind which is svc.
func serveOn(t *testing.T, on task.Service, svc *fake, opts mcpserver.Options) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if opts.Version == "" {
		opts.Version = "v0.0.0-test"
	}
	s := &session{pipe: newPipe(), t: t, svc: svc, server: mcpserver.New(on, opts), cancel: cancel, done: make(chan error, 1)}
	go func() { s.done <- s.server.Serve(ctx, s.pipe) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("the session ended with %v", err)
		}
		s.server.Close()
	})
	return s
}

// send writes a line and returns what the server answers before it is quiet again.
func (s *session) send(line string) []string {
	s.t.Helper()
	s.in <- []byte(line)
	return s.said()
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

func (s *session) handshake() {
	s.t.Helper()
	s.send(initialize)
	s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// result is a tool's result as a client sees it.
type result struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
		URI  string `json:"uri"`
	} `json:"content"`
	Structured map[string]any `json:"structuredContent"`
	IsError    bool           `json:"isError"`
}

// text is the text half.
func (r result) text() string {
	var s string
	for _, c := range r.Content {
		s += c.Text + c.URI + "\n"
	}
	return s
}

// message is any message of the server.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func parse(t *testing.T, line string) message {
	t.Helper()
	var m message
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("server wrote %q: %v", line, err)
	}
	return m
}

// start sends a request and returns its id.
func (s *session) start(method string, params any) int {
	s.t.Helper()
	s.id++
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": s.id, "method": method, "params": params})
	if err != nil {
		s.t.Fatal(err)
	}
	s.in <- b
	return s.id
}

// call calls a tool and returns its result and the messages that came before it.
func (s *session) call(name string, args map[string]any) (result, []message) {
	s.t.Helper()
	s.start("tools/call", map[string]any{"name": name, "arguments": args})
	return s.reply()
}

// reply returns the reply that is out by now and the messages before it.
func (s *session) reply() (result, []message) {
	s.t.Helper()
	var before []message
	for _, line := range s.said() {
		m := parse(s.t, line)
		if m.ID == nil {
			before = append(before, m)
			continue
		}
		if m.Error != nil {
			s.t.Fatalf("protocol error: %s", line)
		}
		var r result
		if err := json.Unmarshal(m.Result, &r); err != nil {
			s.t.Fatal(err)
		}
		return r, before
	}
	s.t.Fatal("no reply")
	return result{}, nil
}

// read reads a resource and returns its JSON.
func (s *session) read(uri string) map[string]any {
	s.t.Helper()
	s.start("resources/read", map[string]any{"uri": uri})
	for _, line := range s.said() {
		m := parse(s.t, line)
		if m.ID == nil {
			continue
		}
		var r struct {
			Contents []struct{ URI, Text string }
		}
		if err := json.Unmarshal(m.Result, &r); err != nil || len(r.Contents) != 1 || r.Contents[0].URI != uri {
			s.t.Fatalf("%s: %v in %s", uri, err, line)
		}
		out := map[string]any{}
		if err := json.Unmarshal([]byte(r.Contents[0].Text), &out); err != nil {
			out["text"] = r.Contents[0].Text
		}
		return out
	}
	s.t.Fatalf("%s: no reply", uri)
	return nil
}
