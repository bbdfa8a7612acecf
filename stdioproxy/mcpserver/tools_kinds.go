package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"durable/ipc/task"
)

// startPrefix begins the name of every start tool; the kind's name is the rest.
const startPrefix = "start_"

// kindsTimeout bounds the question which kinds there are now.
const kindsTimeout = 5 * time.Second

// Limits of what a person's configuration adds to every session's list of tools, in runes.
const (
	maxKindText  = 300
	maxParamText = 150
)

// kindName is what the configuration allows; anything else did not come from there.
var kindName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// keywords are those of a parameter's schema that a model has a use for.
var keywords = []string{"type", "description", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "pattern", "items"}

// readKinds makes the tools what the daemon had listed last, unless it is there and has told: the file may be older,
// and what is read now must not undo what is told meanwhile.
func (s *Server) readKinds() {
	s.kindsMu.Lock()
	defer s.kindsMu.Unlock()
	if !s.kindsTold {
		s.syncKindsLocked(s.opts.Kinds())
	}
}

// forgetKinds says that what the daemon told may have changed unseen.
func (s *Server) forgetKinds() {
	s.kindsMu.Lock()
	defer s.kindsMu.Unlock()
	s.kindsTold = false
}

// syncKindsLocked makes the tools of the user-defined kinds what kinds says. Nil is not known: nothing changes.
// Clients are told of a change by the SDK. s.kindsMu is held.
func (s *Server) syncKindsLocked(kinds []task.KindInfo) {
	if kinds == nil {
		return
	}
	found := map[string]bool{}
	for _, k := range kinds {
		name := startPrefix + k.Name
		if !k.UserDefined || !kindName.MatchString(k.Name) || s.builtin[name] || found[name] {
			continue
		}
		found[name] = true
		mark := string(encode(k))
		if s.kindTools[name] == mark {
			continue
		}
		t, err := kindTool(k)
		if err != nil { // one that a newer daemon describes in a way that we cannot read
			s.log.Warn("kind without a tool", "kind", k.Name, "error", err)
			delete(found, name)
			continue
		}
		s.kindTools[name] = mark
		delete(s.kindsGone, name)
		s.mcp.AddTool(t.describe(), s.handler(t))
	}
	var gone []string
	for name := range s.kindTools {
		if !found[name] {
			gone = append(gone, name)
			s.kindsGone[name] = true
			delete(s.kindTools, name)
		}
	}
	if len(gone) > 0 {
		s.mcp.RemoveTools(gone...)
	}
}

// askKinds asks the daemon which kinds there are now. Without an answer the tools stay what they are.
func (s *Server) askKinds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, kindsTimeout)
	defer cancel()
	kinds, err := s.quiet.Kinds(ctx)
	if err != nil {
		s.log.Debug("kinds not known", "error", err)
		return
	}
	if kinds == nil {
		kinds = []task.KindInfo{}
	}
	s.kindsMu.Lock()
	defer s.kindsMu.Unlock()
	s.syncKindsLocked(kinds)
	s.kindsTold = ctx.Err() == nil
}

// kindTool is the tool of a user-defined kind.
func kindTool(k task.KindInfo) (tool, error) {
	args, err := kindArgs(k.Schema)
	if err != nil {
		return tool{}, err
	}
	title := k.Title
	if title == "" {
		title = k.Name
	}
	return tool{
		name: startPrefix + k.Name, title: cut(title, maxParamText), destructive: true, args: args,
		description: "Durable background job: " + cut(k.Description, maxKindText) + " Answers at once; the job outlives this session.",
		run: func(ctx context.Context, c *call) (*reply, error) {
			params, err := c.kindParams(args)
			if err != nil {
				return nil, err
			}
			r, err := c.submit(ctx, k.Name, params, "")
			return r, c.kindGone(ctx, k.Name, err)
		},
	}, nil
}

// kindGone says it clearly where the kind behind a tool is not there any more: the host's list of tools is older than
// the daemon's configuration.
func (c *call) kindGone(ctx context.Context, name string, err error) error {
	if !errors.Is(err, task.InvalidArgument) || !strings.HasPrefix(task.AsError(err).Message, "unknown kind ") {
		return err
	}
	c.s.askKinds(ctx)
	return noKind(name)
}

func noKind(name string) error {
	return task.Errorf(task.NotFound, "the kind %s is not in the daemon's configuration any more; nothing was started", name).
		WithHint("tell the user, and do not call %s%s again: a person can put [kinds.%[2]s] back into config.toml, then: durablectl reload", startPrefix, name)
}

// goneTool refuses a call of a tool that the host was shown and that is gone. Many hosts list once, and their models
// would learn from the SDK's refusal only that the tool, which they see, is unknown.
func (s *Server) goneTool(name string) error {
	s.kindsMu.Lock()
	defer s.kindsMu.Unlock()
	if !s.kindsGone[name] {
		return nil
	}
	return protocolError(noKind(strings.TrimPrefix(name, startPrefix)))
}

// kindParams are the arguments that are the kind's own, with paths made absolute.
func (c *call) kindParams(args []arg) (map[string]any, error) {
	params := c.params("title", "idempotency_key")
	for _, a := range args {
		if p, ok := params[a.name].(string); ok && a.path {
			abs, err := c.s.resolvePath(a.name, p)
			if err != nil {
				return nil, err
			}
			params[a.name] = abs
		}
	}
	return params, nil
}

// kindArgs makes rows of the schema of a kind: closed, with what a model needs and no more. The values' limits are
// checked by the daemon, which knows them better.
func kindArgs(raw json.RawMessage) ([]arg, error) {
	var schema struct {
		Properties map[string]map[string]json.RawMessage `json:"properties"`
		Required   []string                              `json:"required"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &schema); err != nil {
			return nil, err
		}
	}
	var args []arg
	for _, name := range sortedKeys(schema.Properties) {
		if slices.ContainsFunc(common, func(a arg) bool { return a.name == name }) {
			continue // every start tool has its own
		}
		args = append(args, kindArg(name, schema.Properties[name], slices.Contains(schema.Required, name)))
	}
	return append(args, common...), nil
}

func kindArg(name string, property map[string]json.RawMessage, required bool) arg {
	text := func(key string) (s string) {
		_ = json.Unmarshal(property[key], &s)
		return s
	}
	a := arg{name: name, required: required, desc: cut(text("description"), maxParamText), path: text("format") == "path"}
	switch typ := argType(text("type")); typ {
	case argString, argInteger, argNumber, argBoolean:
		a.typ = typ
	}
	shown := map[string]json.RawMessage{}
	for _, key := range keywords {
		if v, ok := property[key]; ok {
			shown[key] = v
		}
	}
	if a.desc != "" {
		shown["description"] = encode(a.desc)
	}
	a.schema = encode(shown)
	return a
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
