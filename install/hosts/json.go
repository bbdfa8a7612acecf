package hosts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// jsonFormat is JSON, with the comments and trailing commas that some hosts allow. None are added.
type jsonFormat struct{}

// style is how the members of an object are written.
type style struct {
	newline string
	indent  string // before a member
	outer   string // before the closing brace
	unit    string // one step
	inline  bool   // all on one line
	tight   bool   // and without blanks
}

func (s style) deeper() style {
	s.outer, s.indent = s.indent, s.indent+s.unit
	return s
}

func parseJSON(doc []byte) (hujson.Value, error) {
	v, err := hujson.Parse(doc)
	if err != nil {
		return v, errUnread{err}
	}
	if _, ok := v.Value.(*hujson.Object); !ok {
		return v, errUnread{errors.New("it holds no JSON object")}
	}
	return v, nil
}

func (jsonFormat) decode(doc []byte) (map[string]any, error) {
	if blank(doc) {
		return map[string]any{}, nil
	}
	v, err := parseJSON(bytes.Clone(doc))
	if err != nil {
		return nil, err
	}
	v.Standardize()
	dec := json.NewDecoder(bytes.NewReader(v.Pack()))
	dec.UseNumber()
	var all map[string]any
	if err := dec.Decode(&all); err != nil {
		return nil, errUnread{err}
	}
	return all, nil
}

// member finds a member by name. A name that is there twice is refused: hosts differ in which one they take.
func member(o *hujson.Object, name string) (int, error) {
	found := -1
	for i, m := range o.Members {
		if lit, ok := m.Name.Value.(hujson.Literal); ok && lit.String() == name {
			if found >= 0 {
				return 0, errUnread{fmt.Errorf("%q is there twice", name)}
			}
			found = i
		}
	}
	return found, nil
}

func (f jsonFormat) set(doc []byte, path []string, value object) ([]byte, error) {
	if blank(doc) {
		s := style{newline: newlineOf(doc), unit: "  ", indent: "  "}
		return append(bytes.Clone(doc), renderJSON(nest(path, value), s)+s.newline...), nil
	}
	at, err := locate(doc, path)
	if err != nil {
		return nil, err
	}
	if len(at.rest) > 0 {
		return at.insert(doc, at.rest[0], nest(at.rest[1:], value)), nil
	}
	entry, ok := at.value.Value.(*hujson.Object)
	if command := -1; ok {
		if command, err = member(entry, "command"); err != nil {
			return nil, err
		}
		ok = command >= 0
	}
	if !ok { // another kind of server: nothing of it would fit
		return apply(doc, edit{at.value.StartOffset, at.value.EndOffset, renderJSON(value, at.style.deeper())}), nil
	}
	for _, kv := range value {
		if doc, err = f.setKey(doc, append(path[:len(path):len(path)], kv.name), kv.value); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// setKey sets one key of our entry; of an object in it, one key after the other.
func (f jsonFormat) setKey(doc []byte, path []string, value any) ([]byte, error) {
	at, err := locate(doc, path)
	if err != nil {
		return nil, err
	}
	if len(at.rest) > 0 {
		return at.insert(doc, at.rest[0], nest(at.rest[1:], value)), nil
	}
	if o, ok := value.(object); ok {
		if _, is := at.value.Value.(*hujson.Object); is {
			for _, kv := range o {
				if doc, err = f.setKey(doc, append(path[:len(path):len(path)], kv.name), kv.value); err != nil {
					return nil, err
				}
			}
			return doc, nil
		}
	}
	text := renderJSON(value, at.style.deeper())
	if sameJSON(doc[at.value.StartOffset:at.value.EndOffset], text) {
		return doc, nil
	}
	return apply(doc, edit{at.value.StartOffset, at.value.EndOffset, text}), nil
}

func (f jsonFormat) drop(doc []byte, path []string) ([]byte, error) {
	at, err := locate(doc, path)
	if err != nil || len(at.rest) > 0 {
		return doc, err
	}
	out := at.cut(doc, at.parent, at.index, true)
	if up := path[:len(path)-1]; at.only() && len(up) > 2 { // an env that held nothing else
		return f.drop(out, up)
	}
	return out, nil
}

func (jsonFormat) befores(doc []byte, path []string) ([][]byte, error) {
	entry, err := locate(doc, path)
	if err != nil {
		return nil, err
	}
	servers, err := locate(doc, path[:1])
	if err != nil {
		return nil, err
	}
	var out [][]byte
	if entry.only() {
		out = append(out, servers.cut(doc, servers.parent, servers.index, true), servers.cut(doc, servers.parent, servers.index, false))
	}
	stripped := entry.cut(doc, entry.parent, entry.index, true)
	return append(out, stripped, entry.cut(doc, entry.parent, entry.index, false), stripped), nil
}

func (jsonFormat) snippet(path []string, value object) string {
	return renderJSON(nest(path, value), style{newline: "\n", unit: "  ", indent: "  "}) + "\n"
}

// nest puts the value below the names.
func nest(path []string, value any) any {
	for i := len(path) - 1; i >= 0; i-- {
		value = object{{path[i], value}}
	}
	return value
}

func sameJSON(a []byte, b string) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

// renderJSON writes a value whose members have the style.
func renderJSON(value any, s style) string {
	switch v := value.(type) {
	case string:
		return quoteJSON(v)
	case []string:
		parts := make([]string, len(v))
		for i, text := range v {
			parts[i] = quoteJSON(text)
		}
		return "[" + strings.Join(parts, s.comma()) + "]"
	case object:
		var b strings.Builder
		b.WriteString("{")
		for i, kv := range v {
			if i > 0 {
				b.WriteString(",")
				if s.inline && !s.tight {
					b.WriteString(" ")
				}
			}
			b.WriteString(s.start() + renderMember(kv.name, kv.value, s))
		}
		if !s.inline {
			b.WriteString(s.newline + s.outer)
		}
		return b.String() + "}"
	}
	panic(fmt.Sprintf("hosts: no JSON for a %T", value))
}

// start is what stands before a member.
func (s style) start() string {
	if s.inline {
		return ""
	}
	return s.newline + s.indent
}

func (s style) comma() string {
	if s.tight {
		return ","
	}
	return ", "
}

func renderMember(name string, value any, s style) string {
	colon := ": "
	if s.tight {
		colon = ":"
	}
	return quoteJSON(name) + colon + renderJSON(value, s.deeper())
}

// quoteJSON leaves <, > and & as they are: nobody puts these files into a page.
func quoteJSON(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}
