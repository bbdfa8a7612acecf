package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// answer is what a server says of itself.
type answer struct {
	Version string
	Tools   []tool
}

// request and reply are those of JSON-RPC, as far as two questions need them.
type request struct {
	JSONRPC string `json:"jsonrpc"`
	ID      int    `json:"id,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

type reply struct {
	ID     *int            `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// ask asks a server for its version and its tools. It has an empty state folder, and no daemon is started.
func ask(ctx context.Context, program string) (said answer, err error) {
	home, err := os.MkdirTemp("", "mcpb")
	if err != nil {
		return said, err
	}
	defer func() { _ = os.RemoveAll(home) }()
	s, err := open(ctx, program, "DURABLE_HOME="+home, "DURABLE_AUTOSTART=0")
	if err != nil {
		return said, err
	}
	said, err = s.introduction()
	return said, errors.Join(err, s.close(err != nil))
}

// session is a server that runs, and a client's side of its streams.
type session struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	stderr  bytes.Buffer
	send    *json.Encoder
	receive *json.Decoder
	last    int // ID of the last request
}

// open starts a server with these variables besides our own.
func open(ctx context.Context, program string, env ...string) (*session, error) {
	s := &session{cmd: exec.CommandContext(ctx, program)}
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stderr = &s.stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.in, s.send, s.receive = in, json.NewEncoder(in), json.NewDecoder(out)
	return s, nil
}

// close ends the server, as hosts do, by the end of its input. With failed it says what the server has complained about.
func (s *session) close(failed bool) error {
	_ = s.in.Close()
	_, _ = io.Copy(io.Discard, s.receive.Buffered())
	err := s.cmd.Wait()
	if text := bytes.TrimSpace(s.stderr.Bytes()); (failed || err != nil) && len(text) > 0 {
		err = errors.Join(err, errors.New(string(text)))
	}
	return err
}

// call asks for one thing and waits for the answer; notifications in between are passed over.
func (s *session) call(method string, params, into any) error {
	s.last++
	if err := s.send.Encode(request{"2.0", s.last, method, params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		var r reply
		switch err := s.receive.Decode(&r); {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case r.ID == nil || *r.ID != s.last:
		case r.Error != nil:
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		default:
			return json.Unmarshal(r.Result, into)
		}
	}
}

// introduction begins a session and asks for all tools.
func (s *session) introduction() (said answer, err error) {
	var hello struct {
		ServerInfo struct {
			Version string `json:"version"`
		} `json:"serverInfo"`
	}
	if err := s.call("initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": struct{}{},
		"clientInfo": map[string]string{"name": "mcpb", "version": "1"},
	}, &hello); err != nil {
		return said, err
	}
	said.Version = hello.ServerInfo.Version
	if err := s.send.Encode(request{JSONRPC: "2.0", Method: "notifications/initialized"}); err != nil {
		return said, err
	}
	for params := map[string]string{}; ; {
		var page struct {
			Tools      []tool `json:"tools"`
			NextCursor string `json:"nextCursor"`
		}
		if err := s.call("tools/list", params, &page); err != nil {
			return said, err
		}
		said.Tools = append(said.Tools, page.Tools...)
		if page.NextCursor == "" {
			break
		}
		params["cursor"] = page.NextCursor
	}
	if len(said.Tools) == 0 {
		return said, errors.New("the server has no tools")
	}
	return said, nil
}
