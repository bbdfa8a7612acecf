package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"durable/daemon/config"
	"durable/daemon/job"
	"durable/ipc/task"
)

// Template is a kind that a user has defined: a program with typed parameters, each of which is one argument. No
// shell reads them. It has no effects that a policy would have to allow: whoever wrote it has allowed it.
//
// A value must not turn into an option: a string that begins with - is refused, except behind -- or as the value of an
// option that stands before it.
type Template struct {
	runner
	kind   config.Kind
	schema json.RawMessage
	limits *Limits
}

var (
	_ job.Survivor  = (*Template)(nil)
	_ job.Furnisher = (*Template)(nil)
	_ job.Inputter  = (*Template)(nil)
	_ job.Reviver   = (*Template)(nil)
)

// NewTemplate returns the kind that k defines.
func NewTemplate(k config.Kind, opts Options) (*Template, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	schema, err := schemaOf(k.Params)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", k.Name, err)
	}
	limits := opts.Limits
	if limits == nil {
		limits = &Limits{}
	}
	return &Template{runner: newRunner(opts), kind: k, schema: schema, limits: limits}, nil
}

// Describe implements job.Kind.
func (t *Template) Describe() task.KindInfo {
	return task.KindInfo{
		Name: t.kind.Name, Title: strings.ReplaceAll(t.kind.Name, "_", " "), Description: t.kind.Description,
		Tool: "start_" + t.kind.Name, Schema: t.schema, UserDefined: true, Streams: streams(),
	}
}

// Prepare implements job.Kind.
func (t *Template) Prepare(ctx context.Context, spec task.Spec) (job.Plan, error) {
	given, err := t.decode(spec.Params)
	if err != nil {
		return job.Plan{}, err
	}
	return t.plan(ctx, given)
}

// values are those of the parameters by name: string, bool, int64 or float64.
type values map[string]any

func (t *Template) decode(raw json.RawMessage) (values, error) {
	given := values{}
	if err := job.Decode(raw, (*map[string]any)(&given), ""); err != nil {
		return nil, err
	}
	for name, v := range given {
		if !slices.ContainsFunc(t.kind.Params, func(p config.Param) bool { return p.Name == name }) {
			return nil, invalid("unknown parameter %q", name).WithHint("%s takes %s", t.kind.Name, t.names())
		}
		given[name] = plainNumber(v)
	}
	return given, nil
}

// plainNumber makes of a JSON number what a parameter is checked with.
func plainNumber(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return v
	}
	return f
}

func (t *Template) names() string {
	if len(t.kind.Params) == 0 {
		return "none"
	}
	names := make([]string, len(t.kind.Params))
	for i, p := range t.kind.Params {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// plan checks the values and makes an order of the template.
func (t *Template) plan(ctx context.Context, given values) (job.Plan, error) {
	shown, texts := values{}, map[string]string{}
	title := []string{t.kind.Name}
	for _, p := range t.kind.Params {
		v, there := given[p.Name]
		if v == nil {
			v, there = p.Default, p.Default != nil
		}
		if !there {
			if p.Required {
				return job.Plan{}, invalid("%s: missing", p.Name).WithHint("%s", p.Description)
			}
			continue
		}
		v, err := check(p, v)
		if err != nil {
			return job.Plan{}, err
		}
		texts[p.Name] = textOf(v)
		shown[p.Name] = v
		if secretParam(p) {
			shown[p.Name] = masked
			continue
		}
		if _, chosen := given[p.Name]; chosen {
			title = append(title, quote(Mask(texts[p.Name])))
		}
	}
	args, err := t.args(texts)
	if err != nil {
		return job.Plan{}, err
	}
	p := params{Command: args, Cwd: t.kind.Cwd, Env: t.kind.Env}
	if p.Cwd == "" {
		if p.Cwd, err = os.UserHomeDir(); err != nil {
			return job.Plan{}, invalid("cwd: %w", err).WithHint("set cwd in [kinds.%s]", t.kind.Name)
		}
	}
	if err := p.normalize(); err != nil {
		return job.Plan{}, err
	}
	o, err := t.order(ctx, p)
	if err != nil {
		return job.Plan{}, err
	}
	plan, err := o.plan(shown, shorten(strings.Join(title, " ")))
	plan.Effects, plan.Timeout = nil, task.Duration(t.kind.Timeout)
	return plan, err
}

// check holds a value against its parameter and returns it as it is used: a path absolute.
func check(p config.Param, v any) (any, error) {
	if text, ok := v.(string); ok {
		if text == masked && secretParam(p) {
			return nil, task.Errorf(task.FailedPrecondition, "%s: its value is not there any more", p.Name).WithHint("start it anew")
		}
		if strings.ContainsRune(text, 0) {
			return nil, invalid("%s: holds a NUL byte", p.Name)
		}
		if p.Type == config.TypePath {
			path, err := absolute(p.Name, text)
			if err != nil {
				return nil, err
			}
			v = path
		}
	}
	if err := p.Check(v); err != nil {
		e := invalid("%s: %s", p.Name, err)
		if p.Description != "" {
			return nil, e.WithHint("%s: %s", p.Name, p.Description)
		}
		return nil, e
	}
	if whole, ok := v.(float64); ok && p.Type == config.TypeInteger {
		v = int64(whole)
	}
	return v, nil
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v) // an int64, a bool
}

// secretParam reports whether a parameter sounds like one that has a secret for its value.
func secretParam(p config.Param) bool {
	return p.Type == config.TypeString && secretWord.MatchString(p.Name) && !noSecret.MatchString(p.Name)
}

// args puts the values in their places.
func (t *Template) args(texts map[string]string) ([]string, error) {
	var args []string
	var options bool // a -- stood before: nothing is an option any more
	for i, arg := range t.kind.Command {
		name, ok := config.Placeholder(arg)
		if !ok {
			options = options || arg == "--"
			args = append(args, arg)
			continue
		}
		text, there := texts[name]
		if !there {
			continue
		}
		optionValue := i > 1 && strings.HasPrefix(t.kind.Command[i-1], "-")
		if strings.HasPrefix(text, "-") && !options && !optionValue && t.isString(name) {
			return nil, invalid("%s: %q would be taken for an option", name, shorten(Mask(text))).
				WithHint("a value must not begin with -; in the template a -- before it allows that")
		}
		args = append(args, text)
	}
	return args, nil
}

func (t *Template) isString(name string) bool {
	return slices.ContainsFunc(t.kind.Params, func(p config.Param) bool { return p.Name == name && p.Type == config.TypeString })
}

// Furnish implements job.Furnisher. An attempt that may have to wait for its turn takes the holder that is ready from nobody.
func (t *Template) Furnish(dir string) {
	if t.kind.Concurrency <= 0 {
		t.runner.Furnish(dir)
	}
}

// Run implements job.Kind.
func (t *Template) Run(ctx context.Context, j *job.Context) (any, error) {
	var o order
	if err := j.Secrets(&o); err != nil && !j.Adopted() {
		return nil, job.Permanent(err)
	}
	if o.Program == "" && !j.Adopted() {
		plan, err := t.Prepare(ctx, task.Spec{Params: j.Task().Params}) // a backup has no secrets: make it anew
		if err != nil {
			return nil, job.Permanent(err)
		}
		if err := json.Unmarshal(plan.Secrets, &o); err != nil {
			return nil, job.Permanent(err)
		}
	}
	leave, err := t.limits.enter(ctx, t.kind.Name, t.kind.Concurrency, j.Adopted(), func(running int) {
		j.Logf("waits for its turn: %d of this kind run already", running)
	})
	if err != nil {
		return nil, err
	}
	defer leave()
	return t.run(ctx, j, o)
}

// Revive implements job.Reviver: the template is applied again, as it is now.
func (t *Template) Revive(ctx context.Context, old task.Task, req task.RetryRequest) (job.Plan, error) {
	if len(req.Env) > 0 {
		return job.Plan{}, invalid("env: %s takes no environment", t.kind.Name).WithHint("its environment is in the configuration")
	}
	return t.Prepare(ctx, task.Spec{Params: old.Params})
}

// property is a parameter in a JSON Schema.
type property struct {
	Type        string   `json:"type"`
	Format      string   `json:"format,omitempty"` // "path": whoever stands between resolves it against the caller's folder
	Description string   `json:"description,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Minimum     *float64 `json:"minimum,omitempty"`
	Maximum     *float64 `json:"maximum,omitempty"`
	MaxLength   *int64   `json:"maxLength,omitempty"`
	Default     any      `json:"default,omitempty"`
	WriteOnly   bool     `json:"writeOnly,omitempty"`
}

// schemaOf returns the JSON Schema of parameters, in their order: closed, and no larger than it has to be.
func schemaOf(params []config.Param) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteString(`{"type":"object","additionalProperties":false,"properties":{`)
	required := []string{}
	for i, p := range params {
		v := property{
			Type: p.Type, Description: p.Description, Enum: p.Enum, Minimum: p.Min, Maximum: p.Max, MaxLength: p.MaxLength,
			Default: p.Default, WriteOnly: secretParam(p),
		}
		switch p.Type {
		case config.TypeEnum:
			v.Type = "string"
		case config.TypePath:
			v.Type, v.Format = "string", "path"
			v.Description = strings.TrimSpace(v.Description + " (path)")
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", p.Name, text)
		if p.Required {
			required = append(required, p.Name)
		}
	}
	b.WriteByte('}')
	if len(required) > 0 {
		text, err := json.Marshal(required)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `,"required":%s`, text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
