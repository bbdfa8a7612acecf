package mcpserver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// maxCall bounds every tool call: hosts cut one off at 60 s, some of them earlier, and then the model
// does not even learn what was done.
const maxCall = 25 * time.Second

// tool is one MCP tool as data.
type tool struct {
	name, title, description          string
	args                              []arg
	readOnly, destructive, idempotent bool
	run                               func(context.Context, *call) (*reply, error)
}

// call is one call of a tool under way.
type call struct {
	s    *Server
	req  *mcp.CallToolRequest
	args values
	// log is what was sent as log notifications: the reply repeats it, since most hosts drop those.
	log []string
}

// outputSchema is shared by all tools: what they have in common, and leave to say more.
var outputSchema = json.RawMessage(`{"type":"object","properties":{"task":{"type":"object"},"next":{"type":"string"},"check_again_seconds":{"type":"integer"},"error":{"type":"object"}}}`)

// addTools registers every tool, one file for each group.
func (s *Server) addTools() {
	for _, group := range [][]tool{s.startTools(), s.batchTools(), s.trainingTools(), s.commandTools(), s.statusTools(), s.outputTools(), s.controlTools()} {
		for _, t := range group {
			s.builtin[t.name] = true
			s.mcp.AddTool(t.describe(), s.handler(t))
		}
	}
}

func (t tool) describe() *mcp.Tool {
	closed := false
	return &mcp.Tool{
		Name: t.name, Title: t.title, Description: t.description,
		InputSchema: schema(t.args), OutputSchema: outputSchema,
		Annotations: &mcp.ToolAnnotations{
			ReadOnlyHint: t.readOnly, DestructiveHint: &t.destructive,
			IdempotentHint: t.idempotent || t.readOnly, OpenWorldHint: &closed,
		},
	}
}

// handler checks the arguments, runs the tool and answers with a result in every case: an error that
// the model should see is a result too.
func (s *Server) handler(t tool) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		ctx, cancel := context.WithTimeout(ctx, maxCall)
		defer cancel()
		defer context.AfterFunc(s.life, cancel)()
		c := &call{s: s, req: req}
		r, err := c.run(ctx, t)
		if err != nil {
			r = refusal(err)
		}
		return r.result(c.log, req.ProtocolVersion() >= firstResourceLink), nil
	}
}

func (c *call) run(ctx context.Context, t tool) (*reply, error) {
	if id, ok := askedAbout(c.req.Params); ok {
		return c.answered(ctx, id)
	}
	var err error
	if c.args, err = parseArgs(c.req.Params.Arguments, t.args); err != nil {
		return nil, err
	}
	return t.run(ctx, c)
}

// ref is the task that the call is about.
func (c *call) ref() (task.Ref, error) {
	ref := task.Ref(c.args.string("task_id"))
	_, err := ref.Parse()
	return ref, err
}

// key is the caller's idempotency key, or one of our own: a request that is repeated below us because
// a connection broke has its effect once.
func (c *call) key() task.Key {
	if k := c.args.string("idempotency_key"); k != "" {
		return task.Key(k)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "" // no randomness: then without the promise
	}
	return task.Key(id.String())
}

// say sends a log notification and keeps it for the reply.
func (c *call) say(ctx context.Context, level, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.log = append(c.log, text)
	_ = sendLog(ctx, c.req.Session, level, text) // that the session is gone is no error of anybody's
}

// sendLog sends text as clients of the tutorial's server expect it: an object with msg.
func sendLog(ctx context.Context, ss *mcp.ServerSession, level, text string) error {
	//lint:ignore SA1019 deprecated in 2026-07-28; every older client still has it
	return ss.Log(ctx, &mcp.LoggingMessageParams{Level: mcp.LoggingLevel(level), Logger: "durable", Data: logData{Msg: text}})
}

// logData: FastMCP's client reads data["msg"], so a bare string would break it.
type logData struct {
	Msg   string `json:"msg"`
	Extra any    `json:"extra"`
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
