package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// tomlFormat is TOML. A new entry is a table of its own at the end of the file.
type tomlFormat struct{}

func (tomlFormat) decode(doc []byte) (map[string]any, error) {
	all := map[string]any{}
	if err := toml.Unmarshal(doc, &all); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, column := at.Position()
			err = fmt.Errorf("line %d, column %d: %w", line, column, err)
		}
		return nil, errUnread{err}
	}
	return all, nil
}

func (f tomlFormat) set(doc []byte, path []string, value object) ([]byte, error) {
	if _, err := f.decode(doc); err != nil {
		return nil, err
	}
	t, err := readTOML(doc)
	if err != nil {
		return nil, err
	}
	if !t.has(path) {
		out := t.append(doc, path, value)
		if _, err := f.decode(out); err != nil {
			return nil, errUnread{fmt.Errorf("%s is written in a way that no table can be added to", path[0])}
		}
		return out, nil
	}
	if t.key(append(slices.Clone(path), "command")) == nil { // another kind of server: nothing of it would fit
		if doc, err = f.cut(doc, path, nil); err != nil {
			return nil, err
		}
		return f.set(doc, path, value)
	}
	for _, kv := range value {
		if doc, err = f.setKey(doc, append(slices.Clone(path), kv.name), kv.value); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// setKey sets one key of our entry; of an object in it, one key after the other.
func (f tomlFormat) setKey(doc []byte, path []string, value any) ([]byte, error) {
	t, err := readTOML(doc)
	if err != nil {
		return nil, err
	}
	if o, ok := value.(object); ok && t.has(path) {
		for _, kv := range o {
			if doc, err = f.setKey(doc, append(slices.Clone(path), kv.name), kv.value); err != nil {
				return nil, err
			}
		}
		return doc, nil
	}
	text := renderTOML(value)
	if kv := t.key(path); kv != nil {
		if sameTOML(string(doc[kv.value:kv.end]), text) {
			return doc, nil
		}
		return apply(doc, edit{kv.value, kv.end, text}), nil
	}
	if t.has(path) {
		return nil, errUnread{fmt.Errorf("%s is written in a way that is not edited here", strings.Join(path, "."))}
	}
	parent, line := path[:len(path)-1], quoteKey(path[len(path)-1])+" = "+text
	if kv := t.key(parent); kv != nil { // an inline table
		pos := kv.value + len(bytes.TrimRight(doc[kv.value:kv.end-1], " \t"))
		return apply(doc, edit{pos, kv.end - 1, inlineComma(doc[kv.value:kv.end]) + line + " "}), nil
	}
	header := t.table(parent)
	if header == nil {
		return nil, errUnread{fmt.Errorf("[%s] is written in a way that cannot be added to", strings.Join(parent, "."))}
	}
	if header.after == len(doc) && !bytes.HasSuffix(doc, []byte("\n")) {
		return append(bytes.Clone(doc), newlineOf(doc)+line...), nil
	}
	return apply(doc, edit{header.after, header.after, line + newlineOf(doc)}), nil
}

// inlineComma is what stands between an inline table's last key and a new one.
func inlineComma(table []byte) string {
	inside := bytes.TrimSpace(table[1 : len(table)-1])
	switch {
	case len(inside) == 0:
		return " "
	case inside[len(inside)-1] == ',':
		return " "
	}
	return ", "
}

func (f tomlFormat) drop(doc []byte, path []string) ([]byte, error) {
	t, err := readTOML(doc)
	if err != nil || !t.has(path) {
		return doc, err
	}
	all, err := f.decode(doc)
	if err != nil {
		return nil, err
	}
	env, _ := reach(all, path[:len(path)-1]).(map[string]any)
	if len(env) == 1 { // an env that holds nothing else
		return f.cut(doc, path[:len(path)-1], nil)
	}
	return f.cut(doc, path, nil)
}

func reach(v any, path []string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// cut takes out all that is at and below path. more widens what is cut before a table's header.
func (f tomlFormat) cut(doc []byte, path []string, more func(start int) int) ([]byte, error) {
	t, err := readTOML(doc)
	if err != nil {
		return nil, err
	}
	var edits []edit
	for _, table := range t.tables {
		if !under(table.path, path) {
			continue
		}
		start := table.start
		if more != nil {
			start = more(start)
		}
		if n := len(edits); n > 0 {
			start = max(start, edits[n-1].end)
		}
		edits = append(edits, edit{start, t.lastOf(table), ""})
	}
	for _, kv := range t.keys {
		if !under(kv.path, path) || under(kv.table, path) || (kv.inside != nil && under(kv.inside, path)) {
			continue
		}
		if kv.inside == nil {
			edits = append(edits, edit{lineStart(doc, kv.start), kv.after, ""})
		} else {
			edits = append(edits, inlineCut(doc, kv))
		}
	}
	return apply(doc, edits...), nil
}

// inlineCut takes a key out of an inline table, with a comma: the one behind it, or before it.
func inlineCut(doc []byte, kv tomlKey) edit {
	start, end := kv.start, kv.end
	rest := bytes.TrimLeft(doc[end:], " \t\r\n")
	if len(rest) > 0 && rest[0] == ',' {
		end = len(doc) - len(rest) + 1
		for end < len(doc) && doc[end] == ' ' {
			end++
		}
		return edit{start, end, ""}
	}
	before := bytes.TrimRight(doc[:start], " \t\r\n")
	if len(before) > 0 && before[len(before)-1] == ',' {
		start = len(before) - 1
	}
	return edit{start, end, ""}
}

func (f tomlFormat) befores(doc []byte, path []string) ([][]byte, error) {
	nl := newlineOf(doc)
	// What set put before the header: an empty line, and the end of a last line that had none.
	wider := func(n int) func(int) int {
		return func(start int) int {
			for range n {
				if start >= len(nl) && string(doc[start-len(nl):start]) == nl {
					start -= len(nl)
				}
			}
			return start
		}
	}
	var out [][]byte
	for _, n := range []int{1, 2, 0} {
		c, err := f.cut(doc, path, wider(n))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (tomlFormat) snippet(path []string, value object) string {
	return table(path, value, "\n")
}

func sameTOML(a, b string) bool {
	var x, y map[string]any
	if toml.Unmarshal([]byte("v = "+a), &x) != nil || toml.Unmarshal([]byte("v = "+b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// append puts a new table at the end.
func (t tomlText) append(doc []byte, path []string, value object) []byte {
	nl := newlineOf(doc)
	out := bytes.Clone(doc)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, nl...)
	}
	if len(out) > 0 {
		out = append(out, nl...)
	}
	return append(out, table(path, value, nl)...)
}

func table(path []string, value object, nl string) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = quoteKey(name)
	}
	var b strings.Builder
	b.WriteString("[" + strings.Join(names, ".") + "]" + nl)
	for _, kv := range value {
		b.WriteString(quoteKey(kv.name) + " = " + renderTOML(kv.value) + nl)
	}
	return b.String()
}

func renderTOML(value any) string {
	switch v := value.(type) {
	case string:
		return quoteTOML(v)
	case []string:
		parts := make([]string, len(v))
		for i, text := range v {
			parts[i] = quoteTOML(text)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case object:
		parts := make([]string, len(v))
		for i, kv := range v {
			parts[i] = quoteKey(kv.name) + " = " + renderTOML(kv.value)
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	panic(fmt.Sprintf("hosts: no TOML for a %T", value))
}

func quoteKey(name string) string {
	bare := func(r rune) bool {
		return r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !bare(r) }) < 0 {
		return name
	}
	return quoteTOML(name)
}

// quoteTOML is a basic string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
func quoteTOML(text string) string {
	return strings.ReplaceAll(quoteJSON(text), "\x7f", `\u007f`)
}
