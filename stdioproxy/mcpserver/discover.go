package mcpserver

import (
	"encoding/json"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// discovers reports whether req is a well-formed server/discover of a version that we speak; all
// others get the SDK's refusals, which change nothing in the session.
func (s *Server) discovers(req *jsonrpc.Request) bool {
	var params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	var version string
	if json.Unmarshal(req.Params, &params) != nil || json.Unmarshal(params.Meta[mcp.MetaKeyProtocolVersion], &version) != nil {
		return false
	}
	caps := params.Meta[mcp.MetaKeyClientCapabilities]
	return version >= firstModern && slices.Contains(s.versions(), version) && len(caps) > 0 && caps[0] == '{'
}

// discover answers server/discover as the SDK would.
func (s *Server) discover(req *jsonrpc.Request) *jsonrpc.Response {
	return &jsonrpc.Response{ID: req.ID, Result: encode(map[string]any{
		"resultType":        "complete",
		"supportedVersions": s.versions(),
		"capabilities":      s.caps,
		"instructions":      instructions,
		"ttlMs":             0,
		"cacheScope":        "public",
		"_meta":             map[string]any{mcp.MetaKeyServerInfo: s.impl},
	})}
}
