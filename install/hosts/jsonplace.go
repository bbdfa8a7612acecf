package hosts

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"
)

// place is how far a path leads into a JSON text.
type place struct {
	parent *hujson.Value // the object that the last step is made in
	index  int           // of the member found there
	value  *hujson.Value // what was found; nil while rest is not empty
	rest   []string      // the names that are not there
	style  style         // of parent's members
}

// locate follows the path.
func locate(doc []byte, path []string) (place, error) {
	root, err := parseJSON(doc)
	if err != nil {
		return place{}, err
	}
	at := place{parent: &root, style: style{newline: newlineOf(doc), unit: unitOf(doc, &root)}}
	for i, name := range path {
		o, ok := at.parent.Value.(*hujson.Object)
		if !ok {
			return place{}, errUnread{fmt.Errorf("%q is no object", path[i-1])}
		}
		at.style = styleOf(doc, at.parent, at.style)
		if at.index, err = member(o, name); err != nil {
			return place{}, err
		}
		if at.index < 0 {
			at.rest = path[i:]
			return at, nil
		}
		at.value = &o.Members[at.index].Value
		if i < len(path)-1 {
			at.parent = at.value
			at.style = at.style.deeper()
		}
	}
	return at, nil
}

// only reports whether the member found is alone in its object.
func (at place) only() bool { return len(at.parent.Value.(*hujson.Object).Members) == 1 }

// unitOf is one step of indentation: that of the outermost members, else two blanks.
func unitOf(doc []byte, root *hujson.Value) string {
	if o := root.Value.(*hujson.Object); len(o.Members) > 0 {
		if indent, own := indentOf(doc, o.Members[0].Name.StartOffset); own && indent != "" {
			return indent
		}
	}
	if bytes.Contains(doc, []byte("\n\t")) {
		return "\t"
	}
	return "  "
}

// styleOf is how the members of an object are written. One without members is written as its parent's are.
func styleOf(doc []byte, v *hujson.Value, s style) style {
	o := v.Value.(*hujson.Object)
	if len(o.Members) == 0 {
		if s.indent == s.outer {
			s.indent = s.outer + s.unit
		}
		return s
	}
	first := o.Members[0]
	indent, own := indentOf(doc, first.Name.StartOffset)
	s.inline = !own
	s.tight = s.inline && len(first.Value.BeforeExtra) == 0
	if !s.inline {
		if step, ok := strings.CutPrefix(indent, s.outer); ok && step != "" {
			s.unit = step
		}
		s.indent = indent
	}
	return s
}

// indentOf is what stands before offset on its line, if that is nothing but blanks.
func indentOf(doc []byte, offset int) (indent string, own bool) {
	start := bytes.LastIndexByte(doc[:offset], '\n') + 1
	indent = string(doc[start:offset])
	return indent, start > 0 && strings.Trim(indent, " \t") == ""
}

// insert puts a member at the end of the object where the path ended.
func (at place) insert(doc []byte, name string, value any) []byte {
	s, o := at.style, at.parent.Value.(*hujson.Object)
	text := s.start() + renderMember(name, value, s)
	if len(o.Members) == 0 {
		if !s.inline && !bytes.Contains(o.AfterExtra, []byte("\n")) {
			text += s.newline + s.outer
		}
		return apply(doc, edit{at.parent.StartOffset + 1, at.parent.StartOffset + 1, text})
	}
	end := o.Members[len(o.Members)-1].Value.EndOffset
	comma, trailing := trailingComma(o)
	if s.inline {
		blank := strings.TrimPrefix(s.comma(), ",")
		if trailing {
			return apply(doc, edit{comma + 1, comma + 1, blank + text + ","})
		}
		return apply(doc, edit{end, end, "," + blank + text})
	}
	if trailing {
		pos := afterComment(doc, comma+1)
		return apply(doc, edit{pos, pos, text + ","})
	}
	return apply(doc, edit{end, end, ","}, edit{afterComment(doc, end), afterComment(doc, end), text})
}

// trailingComma is the offset of the comma behind the last member, if there is one.
func trailingComma(o *hujson.Object) (int, bool) {
	last := o.Members[len(o.Members)-1].Value
	return last.EndOffset + len(last.AfterExtra), last.AfterExtra != nil
}

// afterComment is the end of a comment that stands on the rest of the line; without one it is pos.
func afterComment(doc []byte, pos int) int {
	line := doc[pos:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	text := strings.TrimRight(string(line), " \t\r")
	comment := strings.TrimLeft(text, " \t")
	switch {
	case strings.HasPrefix(comment, "//"):
		return pos + len(text)
	case strings.HasPrefix(comment, "/*") && strings.Index(comment, "*/") == len(comment)-2 && len(comment) >= 4:
		return pos + len(text)
	}
	return pos
}

// cut takes a member out of an object. When it was the last one, and nothing but blanks is left, strip takes those too.
func (at place) cut(doc []byte, parent *hujson.Value, i int, strip bool) []byte {
	o := parent.Value.(*hujson.Object)
	m := o.Members[i]
	if len(o.Members) == 1 && strip && blank(m.Name.BeforeExtra) && blank(m.Value.AfterExtra) && blank(o.AfterExtra) {
		return apply(doc, edit{parent.StartOffset + 1, parent.EndOffset - 1, ""})
	}
	start := m.Name.StartOffset
	indent, own := indentOf(doc, start)
	switch blanks := len(m.Name.BeforeExtra) - len(bytes.TrimRight(m.Name.BeforeExtra, " \t")); {
	case own && !joins(doc, m):
		start -= len(indent) + 1
		if start > 0 && doc[start-1] == '\r' {
			start--
		}
	case !own && i > 0:
		start -= blanks
	}
	edits := []edit{{start, m.Value.EndOffset, ""}}
	comma, trailing := m.Value.EndOffset+len(m.Value.AfterExtra), true
	if i == len(o.Members)-1 {
		comma, trailing = trailingComma(o)
	}
	if !trailing && i > 0 {
		before := o.Members[i-1].Value
		comma, trailing = before.EndOffset+len(before.AfterExtra), true
	}
	if trailing {
		edits = append(edits, edit{comma, comma + 1, ""})
	}
	return apply(doc, edits...)
}

// joins reports whether the line break before a member must stay: a comment ends with it, and more follows the member.
func joins(doc []byte, m hujson.ObjectMember) bool {
	if !bytes.Contains(m.Name.BeforeExtra, []byte("//")) {
		return false
	}
	rest := doc[m.Value.EndOffset:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	rest = bytes.TrimLeft(bytes.TrimSpace(rest), ", \t")
	return len(rest) > 0 && !bytes.HasPrefix(rest, []byte("//"))
}
