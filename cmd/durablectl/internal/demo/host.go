package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/ipc/task"
)

const (
	// protocol is a version that nearly every app speaks today.
	protocol = "2025-06-18"
	// patience is how long an answer may take; apps give up after 60 s.
	patience = 60 * time.Second
	// leaving is how long durable-mcp may take to go when its input has ended.
	leaving = 5 * time.Second
)

// host is an AI app's end of the pipe: it started durable-mcp and speaks JSON-RPC with it, a message a line. It is
// for one goroutine.
type host struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	errors *os.File
	// messages are what durable-mcp wrote; closed at its end.
	messages chan message
	over     chan struct{} // closed when nobody reads messages any more
	nextID   int
	// heard gets the log notifications, which an app shows its user.
	heard func(text string)
}

// message is any JSON-RPC message.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Data struct {
			Msg string `json:"msg"`
		} `json:"data"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// startHost starts a durable-mcp as an app does.
func startHost(box *sandbox.Sandbox, heard func(string)) (*host, error) {
	cmd, err := box.Command(context.Background(), "durable-mcp")
	if err != nil {
		return nil, err
	}
	h := &host{cmd: cmd, messages: make(chan message), over: make(chan struct{}), heard: heard}
	if h.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if h.errors, err = os.OpenFile(box.Path("durable-mcp.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	cmd.Stderr = h.errors
	if err := cmd.Start(); err != nil {
		_ = h.errors.Close()
		return nil, task.Errorf(task.FailedPrecondition, "start durable-mcp: %w", err)
	}
	go h.read(out)
	return h, nil
}

// read ends with durable-mcp, or with h.over.
func (h *host) read(out io.Reader) {
	defer close(h.messages)
	dec := json.NewDecoder(out)
	for {
		var m message
		if dec.Decode(&m) != nil {
			return
		}
		select {
		case h.messages <- m:
		case <-h.over:
			return
		}
	}
}

// hello is the handshake with which every session begins. It returns what the server calls itself.
func (h *host) hello(ctx context.Context) (string, error) {
	var r struct {
		ServerInfo struct{ Name, Title string } `json:"serverInfo"`
	}
	err := h.request(ctx, "initialize", map[string]any{
		"protocolVersion": protocol, "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "durable-demo", "version": task.Version()},
	}, &r)
	if err != nil {
		return "", err
	}
	return r.ServerInfo.Title, h.send(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
}

// answer is a tool's: text for a reader, and the task.
type answer struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured struct {
		Task  status      `json:"task"`
		Error *task.Error `json:"error"`
	} `json:"structuredContent"`
}

// status is what an app is told of a task.
type status struct {
	TaskID   task.ID     `json:"task_id"`
	Status   task.Status `json:"status"`
	Progress float64     `json:"progress"` // percent
	Attempt  int         `json:"attempt"`
	Done     int64       `json:"done"`
}

// tool calls a tool.
func (h *host) tool(ctx context.Context, name string, args map[string]any) (answer, error) {
	var a answer
	err := h.request(ctx, "tools/call", map[string]any{"name": name, "arguments": args}, &a)
	switch {
	case err != nil:
		return a, err
	case a.Structured.Error != nil:
		return a, a.Structured.Error
	case a.Structured.Task.TaskID == "" || len(a.Content) == 0:
		return a, task.Errorf(task.Internal, "%s: the answer names no task", name)
	}
	return a, nil
}

// request sends a request and returns its answer's result.
func (h *host) request(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h.nextID++
	id := fmt.Sprint(h.nextID)
	if err := h.send(map[string]any{"jsonrpc": "2.0", "id": h.nextID, "method": method, "params": params}); err != nil {
		return err
	}
	for {
		select {
		case m, open := <-h.messages:
			switch {
			case !open:
				return h.broke(method)
			case m.Method == "notifications/message":
				h.heard(m.Params.Data.Msg)
			case m.Method != "" || string(m.ID) != id:
			case m.Error != nil:
				return task.Errorf(task.Internal, "%s: durable-mcp answered error %d: %s", method, m.Error.Code, m.Error.Message)
			default:
				return json.Unmarshal(m.Result, result)
			}
		case <-ctx.Done():
			return task.Errorf(task.Unavailable, "%s: no answer from durable-mcp: %w", method, context.Cause(ctx))
		}
	}
}

func (h *host) send(m any) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := h.in.Write(append(b, '\n')); err != nil {
		return h.broke("write")
	}
	return nil
}

// broke tells the last that durable-mcp said.
func (h *host) broke(doing string) error {
	said, _ := os.ReadFile(h.errors.Name())
	const last = 500
	return task.Errorf(task.Unavailable, "%s: durable-mcp ended: %s", doing,
		strings.TrimSpace(string(said[max(0, len(said)-last):])))
}

func (h *host) pid() int { return h.cmd.Process.Pid }

// kill ends durable-mcp with SIGKILL and returns when it is gone.
func (h *host) kill() error {
	if err := h.cmd.Process.Kill(); err != nil {
		return task.Errorf(task.Internal, "kill durable-mcp: %w", err)
	}
	h.reap()
	return nil
}

// close ends the session as an app does that quits: it closes the pipe. What was asked for is answered first, so
// that afterwards no daemon is on its way that we do not know of.
func (h *host) close() {
	_ = h.in.Close()
	late := time.AfterFunc(leaving, func() { _ = h.cmd.Process.Kill() })
	defer late.Stop()
	for range h.messages {
	}
	h.reap()
}

func (h *host) reap() {
	close(h.over)
	_ = h.cmd.Wait() // it was told to end; how it did does not matter
	for range h.messages {
	}
	_ = h.errors.Close()
}
