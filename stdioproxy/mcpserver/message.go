package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// rawID marks an ID that the SDK cannot hold: a number that is no integer or beyond 2^53. It travels
// through the SDK as a string, this mark and the JSON text, and leaves as that text.
const rawID = "\x00id:"

// maxExactInt is the largest integer that the SDK's float64 holds exactly.
const maxExactInt = 1 << 53

var integerRE = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

// null is the ID of an answer to what has no ID that could be read.
var null = json.RawMessage("null")

// parseID returns the SDK's form of an ID that is a string or a number.
func parseID(raw json.RawMessage) (jsonrpc.ID, error) {
	var s string
	switch {
	case len(raw) > 0 && raw[0] == '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			return jsonrpc.ID{}, err
		}
		if strings.HasPrefix(s, rawID) {
			s = rawID + string(raw)
		}
		return jsonrpc.MakeID(s)
	case len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'):
		if integerRE.Match(raw) {
			if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil && -maxExactInt <= n && n <= maxExactInt {
				return jsonrpc.MakeID(float64(n))
			}
		}
		return jsonrpc.MakeID(rawID + string(raw))
	}
	return jsonrpc.ID{}, fmt.Errorf("id: want a string or a number, got %.20s", raw)
}

// formatID returns the JSON text of id, which is what came in.
func formatID(id jsonrpc.ID) json.RawMessage {
	switch v := id.Raw().(type) {
	case string:
		if text, ok := strings.CutPrefix(v, rawID); ok {
			return json.RawMessage(text)
		}
		return encode(v)
	case int64:
		return strconv.AppendInt(nil, v, 10)
	}
	return null
}

// badMessage is what makes a line or a part of a batch no message.
type badMessage struct {
	id   json.RawMessage
	code int64
	text string
}

func (b *badMessage) Error() string { return b.text }

func (b *badMessage) reply() json.RawMessage {
	return encodeReply(b.id, nil, &jsonrpc.Error{Code: b.code, Message: b.text})
}

func invalidRequest(id json.RawMessage, format string, args ...any) *badMessage {
	return &badMessage{id, jsonrpc.CodeInvalidRequest, "invalid request: " + fmt.Sprintf(format, args...)}
}

// parseMessage decodes one message. It returns nil and no error for an answer that nobody waits for
// and that cannot be understood: errors are never answered with errors.
func parseMessage(data []byte) (jsonrpc.Message, *badMessage) {
	if !json.Valid(data) {
		return nil, &badMessage{null, jsonrpc.CodeParseError, "parse error: this is not JSON"}
	}
	var m map[string]json.RawMessage // not a struct: its keys would match in any case
	if err := json.Unmarshal(data, &m); err != nil || m == nil {
		return nil, invalidRequest(null, "want an object")
	}
	_, isCall := m["method"]
	if !isCall && (m["result"] != nil || m["error"] != nil) {
		msg, err := jsonrpc.DecodeMessage(data)
		if err != nil {
			return nil, nil
		}
		return msg, nil
	}
	req, id := &jsonrpc.Request{}, null
	if raw, ok := m["id"]; ok {
		var err error
		if req.ID, err = parseID(raw); err != nil {
			return nil, invalidRequest(null, "%s", err)
		}
		id = raw
	}
	if string(m["jsonrpc"]) != `"2.0"` {
		return nil, invalidRequest(id, `want "jsonrpc":"2.0"`)
	}
	if err := json.Unmarshal(m["method"], &req.Method); err != nil || req.Method == "" {
		return nil, invalidRequest(id, "method: want a string")
	}
	if p := m["params"]; len(p) > 0 && string(p) != "null" {
		if p[0] != '{' {
			return nil, invalidRequest(id, "params: want an object")
		}
		req.Params = p
	}
	return req, nil
}

// reply is an answer on the wire.
type wireReply struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *jsonrpc.Error  `json:"error,omitempty"`
}

func encodeReply(id, result json.RawMessage, err *jsonrpc.Error) json.RawMessage {
	return encode(wireReply{"2.0", id, result, err})
}

// encodeResponse encodes the SDK's answer.
func encodeResponse(r *jsonrpc.Response) json.RawMessage {
	return encodeReply(formatID(r.ID), r.Result, wireError(r.Error))
}

// wireError gives every error a code. The SDK leaves 0, which is none, where a request does not fit
// the state of the session.
func wireError(err error) *jsonrpc.Error {
	if err == nil {
		return nil
	}
	out := &jsonrpc.Error{Message: err.Error()}
	var e *jsonrpc.Error
	if errors.As(err, &e) {
		out.Code, out.Data = e.Code, e.Data
		if err == error(e) {
			out.Message = e.Message
		}
	}
	if out.Code == 0 {
		out.Code = jsonrpc.CodeInvalidRequest
	}
	return out
}

// encode is json.Marshal without the HTML escapes: what a client sent comes back as it was.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return encodeReply(null, nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "encode reply: " + err.Error()})
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
