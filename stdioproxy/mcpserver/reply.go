package mcpserver

import (
	"fmt"
	"maps"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// reply is what a tool answers. Both halves of the MCP result are made from it, and each of them says
// everything: a host shows its model one and drops the other.
type reply struct {
	// lead is the first content, alone: what clients parse. Empty: there is none.
	lead string
	// link, if set, follows it.
	link *mcp.ResourceLink
	// text is the rest for a reader; data is the structured half. The two say the same.
	text string
	data map[string]any
	// err makes it a tool error.
	err *task.Error
	// ask, if set, is the whole reply: the client puts the question to its user and calls again, with state.
	ask   *mcp.ElicitParams
	state string
	// bare: lead is the whole text half, because a client parses it.
	bare bool
}

// taskReply is a reply about one task: its state and what to do next.
func taskReply(t task.Task) *reply {
	v, a := forTool.view(t), advise(t)
	r := &reply{
		text: v.text() + "\nuri: " + statusURI(t.ID) + "\nnext: " + a.Next,
		data: map[string]any{"task": v, "uri": statusURI(t.ID), "next": a.Next},
	}
	if a.CheckAgain > 0 {
		seconds := int(a.CheckAgain.Seconds())
		r.data["check_again_seconds"] = seconds
		r.text += fmt.Sprintf("\ncheck again in: %d s", seconds)
	}
	return r
}

// started is the reply of a start tool: the URI alone, then a link, then the rest.
func started(t task.Task) *reply {
	r := taskReply(t)
	r.lead = statusURI(t.ID)
	r.link = &mcp.ResourceLink{
		URI: statusURI(t.ID), Name: fmt.Sprintf("task-%d", t.Number), Title: t.Title,
		Description: "status of this durable background job", MIMEType: "application/json",
	}
	return r
}

// refusal is the reply to what could not be done.
func refusal(err error) *reply { return &reply{err: forModel(task.AsError(err))} }

// said adds a fact to both halves.
func (r *reply) said(key, text string) *reply {
	if r.data == nil {
		r.data = map[string]any{}
	}
	r.data[key] = text
	r.text = strings.TrimPrefix(r.text+"\n"+key+": "+text, "\n")
	return r
}

// then replaces what is to be done next, in both halves.
func (r *reply) then(next string) *reply {
	before, _ := r.data["next"].(string)
	r.text = strings.Replace(r.text, "\nnext: "+before, "\nnext: "+next, 1)
	r.data["next"] = next
	return r
}

// result makes both halves; log is what was said on the session's log meanwhile.
func (r *reply) result(log []string, links bool) *mcp.CallToolResult {
	if r.ask != nil {
		return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{askKey: r.ask}, RequestState: r.state}
	}
	data, text := map[string]any{}, r.text
	maps.Copy(data, r.data)
	if r.err != nil {
		data["error"] = r.err
		text = strings.TrimSuffix(errorText(r.err)+"\n"+text, "\n")
	}
	if len(log) > 0 && !r.bare {
		data["log"] = log
		text += "\nlog: " + strings.Join(log, "\nlog: ")
	}
	if r.lead != "" && !r.bare && data["uri"] != r.lead {
		data["answer"] = r.lead
	}
	res := &mcp.CallToolResult{StructuredContent: data, IsError: r.err != nil}
	add := func(c mcp.Content) { res.Content = append(res.Content, c) }
	if r.lead != "" {
		add(&mcp.TextContent{Text: r.lead})
	}
	if r.link != nil && links {
		add(r.link)
	}
	if text != "" && !r.bare {
		add(&mcp.TextContent{Text: text})
	}
	return res
}

func errorText(e *task.Error) string {
	s := "error: " + e.Message
	if e.Hint != "" {
		s += "\nhint: " + e.Hint
	}
	s += "\ncode: " + string(e.Code)
	for _, key := range sortedKeys(e.Details) {
		s += fmt.Sprintf("\n%s: %v", key, e.Details[key])
	}
	return s
}
