package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"durable/ipc/task"
)

// argType is the JSON type of an argument.
type argType string

const (
	argString  argType = "string"
	argInteger argType = "integer"
	argNumber  argType = "number"
	argBoolean argType = "boolean"
	// argStrings is an array of strings.
	argStrings argType = "array"
	// argMap is an object whose values are strings.
	argMap argType = "object"
	// argAny is checked by nobody here.
	argAny argType = ""
	// argRef is a task reference: a string, or the task's number as a number.
	argRef argType = "ref"
)

// arg is one argument of a tool: a row from which both the schema and the check are made.
type arg struct {
	name     string
	typ      argType
	desc     string
	required bool
	enum     []string
	// min and max bound an integer; max 0 is no bound.
	min, max int64
	// schema, if set, is what a host sees of it. Its limits are the daemon's to check.
	schema json.RawMessage
	// path: a string that is a path on this machine.
	path bool
}

// values are checked arguments: string, int64, json.Number, bool, []string or map[string]string by name, anything
// for argAny. An absent one is missing.
type values map[string]any

func (v values) string(name string) string { s, _ := v[name].(string); return s }
func (v values) bool(name string) bool     { b, _ := v[name].(bool); return b }
func (v values) strings(name string) []string {
	list, _ := v[name].([]string)
	return list
}
func (v values) env(name string) map[string]string {
	m, _ := v[name].(map[string]string)
	return m
}

// int returns the integer, or def where it is absent.
func (v values) int(name string, def int64) int64 {
	if n, ok := v[name].(int64); ok {
		return n
	}
	return def
}

// schema returns the JSON Schema (2020-12, which is the default dialect) of args.
func schema(args []arg) json.RawMessage {
	props := make(map[string]any, len(args))
	var required []string
	for _, a := range args {
		if a.required {
			required = append(required, a.name)
		}
		if a.schema != nil {
			props[a.name] = a.schema
			continue
		}
		p := map[string]any{"type": string(a.typ)}
		switch a.typ {
		case argRef:
			p["type"] = string(argString)
		case argMap:
			p["additionalProperties"] = map[string]any{"type": string(argString)}
		case argStrings:
			p["items"] = map[string]any{"type": string(argString)}
		case argInteger:
			p["minimum"] = a.min
			if a.max > 0 {
				p["maximum"] = a.max
			}
		}
		if a.desc != "" {
			p["description"] = a.desc
		}
		if len(a.enum) > 0 {
			p["enum"] = a.enum
		}
		props[a.name] = p
	}
	s := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return b
}

// parseArgs checks raw against args. The error is an InvalidArgument that names the argument.
func parseArgs(raw json.RawMessage, args []arg) (values, error) {
	given := map[string]any{}
	if len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var err error
		if err = d.Decode(&given); err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			return nil, task.Errorf(task.InvalidArgument, "arguments: want an object of named arguments").
				WithHint("known arguments: %s", names(args))
		}
	}
	out := make(values, len(given))
	for name, v := range given {
		i := slices.IndexFunc(args, func(a arg) bool { return a.name == name })
		if i < 0 {
			return nil, unknownArg(name, args)
		}
		if v == nil { // hosts send null for what they leave out
			continue
		}
		checked, err := args[i].check(v)
		if err != nil {
			return nil, err
		}
		out[name] = checked
	}
	for _, a := range args {
		if _, ok := out[a.name]; a.required && !ok {
			return nil, task.Errorf(task.InvalidArgument, "%s: missing", a.name).WithHint("%s", a.desc)
		}
	}
	return out, nil
}

func unknownArg(name string, args []arg) error {
	e := task.Errorf(task.InvalidArgument, "unknown argument %.60q", name)
	if len(args) == 0 {
		return e.WithHint("this tool takes no arguments")
	}
	return e.WithHint("known arguments: %s", names(args))
}

func names(args []arg) string {
	if len(args) == 0 {
		return "none"
	}
	all := make([]string, len(args))
	for i, a := range args {
		all[i] = a.name
	}
	return strings.Join(all, ", ")
}

// check returns v as the Go type of a.
func (a arg) check(v any) (any, error) {
	switch a.typ {
	case argString:
		if s, ok := v.(string); ok {
			return a.checkString(s)
		}
	case argRef:
		return a.checkRef(v)
	case argBoolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case argInteger:
		if n, ok := v.(json.Number); ok {
			return a.checkInteger(n)
		}
	case argNumber:
		if n, ok := v.(json.Number); ok {
			return n, nil
		}
	case argStrings:
		return a.checkStrings(v)
	case argMap:
		return a.checkMap(v)
	case argAny:
		return v, nil
	}
	return nil, a.wrongType(v, string(a.typ))
}

func (a arg) wrongType(v any, want string) error {
	return task.Errorf(task.InvalidArgument, "%s: want %s, got %s", a.name, article(want), article(jsonType(v))).
		WithHint("%s", a.desc)
}

func (a arg) checkString(s string) (any, error) {
	switch {
	case len(a.enum) > 0 && !slices.Contains(a.enum, s):
		return nil, task.Errorf(task.InvalidArgument, "%s: %.60q, want one of %s", a.name, s, strings.Join(a.enum, ", "))
	case a.required && strings.TrimSpace(s) == "":
		return nil, task.Errorf(task.InvalidArgument, "%s: empty", a.name).WithHint("%s", a.desc)
	}
	return s, nil
}

// checkRef accepts what people and models write for a task: 42, "42", "#42", an ID, a part of one,
// "@last", and the URI that a start tool answered.
func (a arg) checkRef(v any) (any, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = strings.TrimSpace(v)
	case json.Number:
		s = v.String()
	default:
		return nil, a.wrongType(v, string(argString))
	}
	s = strings.TrimPrefix(s, statusPrefix)
	if n, ok := strings.CutPrefix(s, "#"); ok {
		s = n
	}
	if s == "" && a.required {
		return nil, task.Errorf(task.InvalidArgument, "%s: empty", a.name).WithHint("%s", a.desc)
	}
	return s, nil
}

// checkInteger also takes 500.0, which some clients make of 500.
func (a arg) checkInteger(n json.Number) (any, error) {
	i, err := n.Int64()
	if err != nil {
		f, ferr := n.Float64()
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return nil, task.Errorf(task.InvalidArgument, "%s: %.40s, want a whole number", a.name, n)
		}
		i = int64(f)
	}
	if a.schema == nil && (i < a.min || a.max > 0 && i > a.max) {
		if a.max > 0 {
			return nil, task.Errorf(task.InvalidArgument, "%s: %d, want %d to %d", a.name, i, a.min, a.max)
		}
		return nil, task.Errorf(task.InvalidArgument, "%s: %d, want %d or more", a.name, i, a.min)
	}
	return i, nil
}

func (a arg) checkStrings(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, a.wrongType(v, "array of strings")
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			return nil, task.Errorf(task.InvalidArgument, "%s: item %d: want a string, got %s", a.name, i+1, article(jsonType(item)))
		}
	}
	return out, nil
}

// checkMap takes numbers and booleans for the strings that they look like: models write {"PORT": 8080}.
func (a arg) checkMap(v any) (any, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, a.wrongType(v, "object of strings")
	}
	out := make(map[string]string, len(object))
	for name, item := range object {
		switch item := item.(type) {
		case string:
			out[name] = item
		case json.Number:
			out[name] = item.String()
		case bool:
			out[name] = strconv.FormatBool(item)
		default:
			return nil, task.Errorf(task.InvalidArgument, "%s: %.60s: want a string, got %s", a.name, name, article(jsonType(item)))
		}
	}
	return out, nil
}

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
