package mcpserver

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// The answers that a person is offered. Clients show them as they are.
const (
	answerOnce   = "once"
	answerAlways = "always this program in this folder"
	answerNo     = "no"
)

// askKey names our question among the input requests of a result, askState begins the state that a client brings
// back with the answer; the task's ID is the rest.
const (
	askKey   = "approval"
	askState = "approve:"
)

// maxAsked bounds the command in a question, in bytes: it has to fit into a dialog.
const maxAsked = 2000

// askSchema is the form.
var askSchema = json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string","title":"Allow it?","enum":["` +
	answerOnce + `","` + answerAlways + `","` + answerNo + `"]}},"required":["answer"]}`)

// ask puts the question whether t may run to the person at the client, where the client can do that, and acts on
// the answer. In every other case t waits, and the reply says for what. Clients up to 2025-11-25 are sent a
// request and the call waits, no longer than any call does; later ones get the question as the result of the call,
// and call again.
func (c *call) ask(ctx context.Context, t task.Task) *reply {
	if caps := c.req.ClientCapabilities(); caps == nil || caps.Elicitation == nil ||
		caps.Elicitation.Form == nil && caps.Elicitation.URL != nil {
		return started(t)
	}
	question := &mcp.ElicitParams{Mode: "form", Message: questionAbout(t), RequestedSchema: askSchema}
	init := c.req.Session.InitializeParams()
	if init == nil || init.ProtocolVersion >= firstModern {
		return &reply{ask: question, state: askState + string(t.ID)}
	}
	wait := ctx
	if deadline, ok := ctx.Deadline(); ok { // what follows the answer takes time too
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadline(ctx, deadline.Add(-2*answerTime))
		defer cancel()
	}
	answer, err := c.req.Session.Elicit(wait, question)
	if err != nil {
		c.s.log.Debug("no answer to the question for approval", "task", t.Number, "error", err)
		return c.nobody(ctx, t)
	}
	return c.act(ctx, t, answer)
}

// nobody answers when no answer came. The person may have said yes elsewhere meanwhile.
func (c *call) nobody(ctx context.Context, t task.Task) *reply {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	if later, err := c.s.svc.Get(ctx, t.ID.Ref()); err == nil {
		t = later
	}
	return started(t)
}

// askedAbout returns the task about which the client was asked, if this call brings the answer.
func askedAbout(p *mcp.CallToolParamsRaw) (task.ID, bool) {
	id, ok := strings.CutPrefix(p.RequestState, askState)
	return task.ID(id), ok
}

// answered goes on with a call whose first round ended with a question: the task is there already.
func (c *call) answered(ctx context.Context, id task.ID) (*reply, error) {
	t, err := c.s.svc.Get(ctx, id.Ref())
	if err != nil {
		return nil, err
	}
	if t.ID != id { // a part of one: no question of ours was about that
		return nil, task.Errorf(task.InvalidArgument, "requestState: no question was asked about %.40q", string(id))
	}
	c.s.hub.follow(c.req.Session, t.ID)
	answer, ok := c.req.Params.InputResponses[askKey].(*mcp.ElicitResult)
	if !ok || t.Phase != task.PhaseAwaitingApproval {
		return started(t), nil
	}
	return c.act(ctx, t, answer), nil
}

// act does what the person said: no is a no also as a declined form, and a form that was only closed is no answer.
func (c *call) act(ctx context.Context, t task.Task, answer *mcp.ElicitResult) *reply {
	word, _ := answer.Content["answer"].(string)
	var err error
	said := ""
	switch {
	case answer.Action == "decline", answer.Action == "accept" && word == answerNo:
		said = "The user said no."
		t, err = c.changed(t, func(t task.Task) (task.Task, error) {
			return c.s.svc.Cancel(ctx, t.ID.Ref(), task.CancelRequest{Reason: "not approved"}, c.key())
		})
	case answer.Action == "accept" && (word == answerOnce || word == answerAlways):
		said = "The user allowed it: " + word + "."
		t, err = c.changed(t, func(t task.Task) (task.Task, error) {
			return c.s.svc.Approve(ctx, t.ID.Ref(), task.ApproveRequest{Always: word == answerAlways}, c.key())
		})
	default:
		return started(t)
	}
	r := started(t).said("approval", said)
	switch {
	case err != nil:
		r.said("warning", "That could not be done: "+task.AsError(err).Message)
	case t.Status == task.StatusCancelled:
		r.then("The user said no and the task is cancelled. Do not start it again unless the user asks for it.")
	}
	return r
}

// changed is the task after a change, or as it was where that could not be made.
func (c *call) changed(t task.Task, change func(task.Task) (task.Task, error)) (task.Task, error) {
	now, err := change(t)
	if err != nil {
		return t, err
	}
	return now, nil
}

// questionAbout says what t would do, in full: what is shortened cannot be judged.
func questionAbout(t task.Task) string {
	lines := []string{"A tool wants to start the background job \"" + t.Title + "\"."}
	lines = append(lines, commandText(t.Params)...)
	if t.Approval != nil {
		for _, e := range t.Approval.Effects {
			lines = append(lines, "It would "+e.String()+".")
		}
	}
	return strings.Join(lines, "\n")
}

// commandText is the command in a task's parameters, as JSON where it is a list: nothing is hidden by quoting. With it
// go the names of the variables that it gets, since some of them decide what a program does; their values are secrets.
func commandText(params json.RawMessage) (lines []string) {
	var p struct {
		Command json.RawMessage            `json:"command"`
		Script  string                     `json:"script"`
		Env     map[string]json.RawMessage `json:"env"`
	}
	if json.Unmarshal(params, &p) != nil {
		return nil
	}
	text := p.Script
	if text == "" {
		text = string(p.Command)
	}
	for _, line := range []struct{ name, text string }{{"Command: ", text}, {"It sets: ", strings.Join(sortedKeys(p.Env), ", ")}} {
		if len(line.text) > maxAsked {
			line.text = strings.ToValidUTF8(line.text[:maxAsked], "") + " ... (durablectl status shows all of it)"
		}
		if line.text != "" {
			lines = append(lines, line.name+line.text)
		}
	}
	return lines
}

// effects are what t waits to be allowed, as sentences; nil where it does not wait.
func effects(t task.Task) []string {
	if t.Approval == nil || t.Phase != task.PhaseAwaitingApproval {
		return nil
	}
	out := make([]string, len(t.Approval.Effects))
	for i, e := range t.Approval.Effects {
		out[i] = e.String()
	}
	return append(out, "ends cancelled at "+t.Approval.ExpiresAt.UTC().Format(time.RFC3339)+" without an answer")
}
