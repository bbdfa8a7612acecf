package mcpserver

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// Protocol versions at which something changes that concerns us.
const (
	// firstResourceLink: before it clients refuse content that they do not know.
	firstResourceLink = "2025-06-18"
	// lastHandshake is the newest version that initialize can agree on.
	lastHandshake = "2025-11-25"
	// firstModern: no initialize, no session, every request for itself.
	firstModern = "2026-07-28"
)

// recover turns a panic of a handler into an error of that call: the SDK would let it end the process,
// and with it every other call of the session.
func (s *Server) recover(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (res mcp.Result, err error) {
		defer func() {
			if v := recover(); v != nil {
				s.log.Error("panic in handler", "method", method, "panic", v, "stack", string(debug.Stack()))
				res, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: fmt.Sprintf("internal error in %s: %v", method, v)}
			}
		}()
		return next(ctx, method, req)
	}
}

// introduce mends the handshake and learns the client's name.
func (s *Server) introduce(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method != "initialize" {
			if call, ok := req.(*mcp.CallToolRequest); ok {
				s.tell(call.ClientInfo())
			}
			return next(ctx, method, req)
		}
		init, ok := req.(*mcp.ServerRequest[*mcp.InitializeParams])
		if !ok || init.Params == nil {
			return next(ctx, method, req)
		}
		p := init.Params
		if p.Capabilities == nil { // later readers take it for granted
			p.Capabilities = &mcp.ClientCapabilities{}
		}
		// The SDK keeps the version that was asked for, and takes a session for what it is not.
		if !slices.Contains(s.versions(), p.ProtocolVersion) || p.ProtocolVersion >= firstModern {
			p.ProtocolVersion = lastHandshake
		}
		res, err := next(ctx, method, req)
		if err == nil {
			s.tell(p.ClientInfo)
			s.enableLog(ctx, next, init.Session)
		}
		return res, err
	}
}

// enableLog sets the session's log level to info: until a client sets one, which many never do, the
// SDK drops every log notification.
func (s *Server) enableLog(ctx context.Context, next mcp.MethodHandler, ss *mcp.ServerSession) {
	//lint:ignore SA1019 deprecated in 2026-07-28; every older client still has it
	level := &mcp.ServerRequest[*mcp.SetLoggingLevelParams]{Session: ss, Params: &mcp.SetLoggingLevelParams{Level: "info"}}
	if _, err := next(ctx, "logging/setLevel", level); err != nil {
		s.log.Warn("log level of the session not set: its log notifications are lost", "error", err)
	}
}

// tell passes on who the client is, "claude-ai 0.14".
func (s *Server) tell(info *mcp.Implementation) {
	if name := clientName(info); s.opts.OnClient != nil && name != "" {
		s.opts.OnClient(name)
	}
}

func clientName(info *mcp.Implementation) string {
	switch {
	case info == nil || info.Name == "":
		return ""
	case info.Version == "":
		return info.Name
	}
	return info.Name + " " + info.Version
}

// route brings every read of one of our URIs to [Server.readResource], and tells the hub that the daemon
// is there when work was done, and that somebody has a list of tools that may change. The SDK alone matches templates strictly and answers a protocol error
// for a task reference with an odd character, where clients expect contents that say "not found". So it
// gets to see a URI that it knows, and the one that was asked for travels in the context.
func (s *Server) route(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch r := req.(type) {
		case *mcp.CallToolRequest:
			defer s.hub.poke()
			if err := s.goneTool(r.Params.Name); err != nil {
				return nil, err
			}
		case *mcp.ServerRequest[*mcp.ListToolsParams]:
			if s.opts.Kinds != nil {
				s.readKinds()
				s.hub.listed(r.Session)
			}
		case *mcp.ReadResourceRequest:
			defer s.hub.poke()
			if u, ok := parseURI(r.Params.URI); ok {
				ctx = context.WithValue(ctx, uriKey{}, u)
				known, params := *r, *r.Params
				params.URI, known.Params = listURI, &params
				req = &known
			}
		}
		return next(ctx, method, req)
	}
}

// uriKey is the context's key for the uri that is read.
type uriKey struct{}

// protocolError is err as the answer to a request that has no results of its own for errors.
func protocolError(err error) error {
	e := forModel(task.AsError(err))
	msg := e.Message
	if e.Hint != "" {
		msg += " (hint: " + e.Hint + ")"
	}
	return &jsonrpc.Error{Code: e.Code.MCP(), Message: msg}
}
