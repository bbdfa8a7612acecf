package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is the tree of a file: where each key and each element of an array stands. The syntax has been
// checked before, and that no key stands there twice.
type document struct {
	parser  unstable.Parser
	entries []entry
	at      map[string]int // index in entries, by the joined path
}

// entry is a key or an element, with its path from the top.
type entry struct {
	path      []string
	kind      unstable.Kind // of the value; Table for a table
	line, col int
}

// joint cannot stand in a path: TOML allows no NUL in a bare key, and in a quoted one it would only blur a position.
const joint = "\x00"

func parseTree(text []byte) (*document, *problem) {
	if p := checkSyntax(text); p != nil {
		return nil, p
	}
	d := &document{at: map[string]int{}}
	d.parser.Reset(text)
	var table []string
	for d.parser.NextExpression() {
		node := d.parser.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = d.keys(nil, node, node.Kind)
		case unstable.KeyValue:
			d.keyValue(table, node)
		}
	}
	return d, nil
}

// checkSyntax also finds what is defined twice.
func checkSyntax(text []byte) *problem {
	err := toml.Unmarshal(text, new(map[string]any))
	if err == nil {
		return nil
	}
	p := &problem{text: strings.TrimPrefix(err.Error(), "toml: "), line: 1, col: 1}
	var known *toml.DecodeError
	if errors.As(err, &known) {
		p.line, p.col = known.Position()
	}
	return p
}

// keys notes the parts of a dotted key below path, the last one with kind, and returns the whole path.
func (d *document) keys(path []string, node *unstable.Node, kind unstable.Kind) []string {
	for it := node.Key(); it.Next(); {
		part := it.Node()
		path = append(slices.Clone(path), string(part.Data))
		if it.IsLast() {
			d.note(path, part, kind)
		} else {
			d.note(path, part, unstable.Table)
		}
	}
	return path
}

func (d *document) note(path []string, at *unstable.Node, kind unstable.Kind) {
	key := strings.Join(path, joint)
	if _, again := d.at[key]; again {
		return // a table that was begun before: it stands where it was seen first
	}
	start := d.parser.Shape(at.Raw).Start
	d.at[key] = len(d.entries)
	d.entries = append(d.entries, entry{path: path, kind: kind, line: start.Line, col: start.Column})
}

func (d *document) keyValue(table []string, node *unstable.Node) {
	value := node.Value()
	path := d.keys(table, node, value.Kind)
	d.inside(path, value)
}

// inside notes what stands in an inline table or an array. An element that has no place of its own, an array or a
// table, is found by what is around it.
func (d *document) inside(path []string, value *unstable.Node) {
	it := value.Children()
	switch value.Kind {
	case unstable.InlineTable:
		for it.Next() {
			d.keyValue(path, it.Node())
		}
	case unstable.Array:
		for i := 0; it.Next(); i++ {
			item, below := it.Node(), append(slices.Clone(path), strconv.Itoa(i))
			if item.Raw.Length > 0 {
				d.note(below, item, item.Kind)
				continue
			}
			line, col := d.position(path)
			d.at[strings.Join(below, joint)] = len(d.entries)
			d.entries = append(d.entries, entry{path: below, kind: item.Kind, line: line, col: col})
		}
	}
}

// position returns where path stands, or else the nearest thing around it.
func (d *document) position(path []string) (line, col int) {
	for n := len(path); n > 0; n-- {
		if i, ok := d.at[strings.Join(path[:n], joint)]; ok {
			return d.entries[i].line, d.entries[i].col
		}
	}
	return 1, 1
}

// children returns the keys below path, in the order of the file.
func (d *document) children(path ...string) []string {
	var names []string
	for _, e := range d.entries {
		if len(e.path) == len(path)+1 && slices.Equal(e.path[:len(path)], path) {
			names = append(names, e.path[len(path)])
		}
	}
	return names
}

// fits holds every entry against the type that it is decoded into.
func (d *document) fits(into reflect.Type, found *problems) {
	for _, e := range d.entries {
		want, parent, ok := typeAt(into, e.path)
		last := e.path[len(e.path)-1]
		switch {
		case parent == nil: // the problem is further up, and told there
		case !ok:
			known := keysOf(parent)
			p := found.add(e.path, "unknown key %s%s", last, where(e.path))
			if near := nearest(last, known); near != "" {
				p.text += ": is " + near + " meant?"
				p.withHint("write %s instead of %s", near, last)
			} else {
				p.withHint("there%s: %s", where(e.path), strings.Join(known, ", "))
			}
		case !takes(want, e.kind):
			found.add(e.path, "%s: %s, want %s", strings.Join(e.path, "."), article(e.kind), wanted(want))
		}
	}
}

// where says which section the last key of path is in.
func where(path []string) string {
	if len(path) < 2 {
		return ""
	}
	return " in [" + strings.Join(path[:len(path)-1], ".") + "]"
}

// typeAt follows path from t. ok is false if the last key does not exist in parent; parent is nil if one
// before it does not exist, or is nothing that has keys.
func typeAt(t reflect.Type, path []string) (found, parent reflect.Type, ok bool) {
	for i, name := range path {
		last := i == len(path)-1
		switch t.Kind() {
		case reflect.Struct:
			field, there := fieldOf(t, name)
			if !there {
				if last {
					return nil, t, false
				}
				return nil, nil, false
			}
			parent, t = t, field
		case reflect.Map, reflect.Slice:
			parent, t = t, t.Elem()
		default:
			return nil, nil, false
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	return t, parent, true
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

func keysOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("toml"))
	}
	return names
}

// takes reports whether a value of that kind fits into t.
func takes(t reflect.Type, k unstable.Kind) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return k == unstable.Table || k == unstable.InlineTable
	case reflect.Slice:
		return k == unstable.Array
	case reflect.String:
		return k == unstable.String
	case reflect.Bool:
		return k == unstable.Bool
	case reflect.Int, reflect.Int64:
		return k == unstable.Integer
	case reflect.Float64:
		return k == unstable.Integer || k == unstable.Float
	case reflect.Interface:
		return k == unstable.String || k == unstable.Bool || k == unstable.Integer || k == unstable.Float
	}
	return false
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a table"
	case reflect.Slice:
		return "an array of strings"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "a string, a number, true or false"
}

func article(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer:
		return "a whole number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "an array"
	case unstable.Table, unstable.InlineTable:
		return "a table"
	case unstable.ArrayTable:
		return "an array of tables"
	}
	return "a date or a time"
}
