package protocol

import (
	"errors"
	"strconv"
	"strings"
)

// kind is what a value is.
type kind uint8

const (
	kindOther kind = iota // null, fractions, and whatever is nested deeper than we look
	kindText
	kindNumber
	kindBool
	kindList // of strings
)

// value is the value of one field.
type value struct {
	kind   kind
	text   string
	number int64
	list   []string
}

// errSyntax: not a JSON object.
var errSyntax = errors.New("not a whole JSON object")

// object is a JSON object on its way out. Bytes that are not UTF-8 stay as they are: a file's name may have them.
type object struct {
	buf  []byte
	open bool
}

func (o *object) key(name string) {
	if !o.open {
		o.buf, o.open = append(o.buf, '{'), true
	} else {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(appendText(o.buf, name), ':')
}

// text, number, flag and list leave out what is zero.
func (o *object) text(name, v string) {
	if v != "" {
		o.key(name)
		o.buf = appendText(o.buf, v)
	}
}

func (o *object) number(name string, v int64) {
	if v != 0 {
		o.key(name)
		o.buf = strconv.AppendInt(o.buf, v, 10)
	}
}

func (o *object) flag(name string, v bool) {
	if v {
		o.key(name)
		o.buf = append(o.buf, "true"...)
	}
}

func (o *object) list(name string, v []string) {
	if len(v) == 0 {
		return
	}
	o.key(name)
	for i, s := range v {
		o.buf = appendText(append(o.buf, "[,"[min(i, 1)]), s)
	}
	o.buf = append(o.buf, ']')
}

// line returns the object and a newline.
func (o *object) line() []byte {
	if !o.open {
		o.buf = append(o.buf, '{')
	}
	return append(o.buf, "}\n"...)
}

const hexDigits = "0123456789abcdef"

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// parser reads one JSON object whose values we know how to use; the others it steps over.
type parser struct {
	in string
	at int
}

// maxDepth bounds what a value that is stepped over may nest.
const maxDepth = 64

func parseObject(data []byte) (map[string]value, error) {
	p := parser{in: string(data)}
	fields := map[string]value{}
	if !p.take('{') {
		return nil, errSyntax
	}
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return nil, errSyntax
		}
		name, ok := p.text()
		if !ok || !p.take(':') {
			return nil, errSyntax
		}
		v, ok := p.value(0)
		if !ok {
			return nil, errSyntax
		}
		fields[name] = v
	}
	if p.space(); p.at != len(p.in) {
		return nil, errSyntax
	}
	return fields, nil
}

func (p *parser) space() {
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.at]) >= 0 {
		p.at++
	}
}

// take steps over c, if it is next.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.in) && p.in[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) value(depth int) (value, bool) {
	p.space()
	if p.at == len(p.in) || depth > maxDepth {
		return value{}, false
	}
	switch c := p.in[p.at]; {
	case c == '"':
		s, ok := p.text()
		return value{kind: kindText, text: s}, ok
	case c == '[':
		return p.array(depth)
	case c == '{':
		return value{}, p.skipObject(depth)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for word, v := range map[string]value{"true": {kind: kindBool, number: 1}, "false": {kind: kindBool}, "null": {}} {
		if strings.HasPrefix(p.in[p.at:], word) {
			p.at += len(word)
			return v, true
		}
	}
	return value{}, false
}

func (p *parser) number() (value, bool) {
	from := p.at
	for p.at < len(p.in) && strings.IndexByte("+-.eE0123456789", p.in[p.at]) >= 0 {
		p.at++
	}
	s := p.in[from:p.at]
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return value{kind: kindNumber, number: n}, s[0] != '+'
	}
	_, err := strconv.ParseFloat(s, 64)
	return value{}, err == nil || errors.Is(err, strconv.ErrRange)
}

// array is a list of strings, or of anything, which is stepped over.
func (p *parser) array(depth int) (value, bool) {
	p.at++
	v := value{kind: kindList, list: []string{}}
	for first := true; !p.take(']'); first = false {
		if !first && !p.take(',') {
			return value{}, false
		}
		item, ok := p.value(depth + 1)
		if !ok {
			return value{}, false
		}
		if item.kind != kindText {
			v.kind = kindOther
		}
		v.list = append(v.list, item.text)
	}
	return v, true
}

func (p *parser) skipObject(depth int) bool {
	p.at++
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return false
		}
		if _, ok := p.text(); !ok || !p.take(':') {
			return false
		}
		if _, ok := p.value(depth + 1); !ok {
			return false
		}
	}
	return true
}

// escapes are those of one letter.
const escapes = "\"\"\\\\//b\bf\fn\nr\rt\t"

func (p *parser) text() (string, bool) {
	if !p.take('"') {
		return "", false
	}
	rest := p.in[p.at:]
	if end := strings.IndexAny(rest, "\"\\"); end >= 0 && rest[end] == '"' && !control(rest[:end]) {
		p.at += end + 1
		return rest[:end], true
	}
	var out []byte
	for p.at < len(p.in) {
		c := p.in[p.at]
		p.at++
		switch {
		case c == '"':
			return string(out), true
		case c < ' ':
			return "", false
		case c != '\\':
			out = append(out, c)
			continue
		}
		var ok bool
		if out, ok = p.escape(out); !ok {
			return "", false
		}
	}
	return "", false
}

func control(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' {
			return true
		}
	}
	return false
}

// escape appends what the escape after a backslash stands for.
func (p *parser) escape(out []byte) ([]byte, bool) {
	if p.at == len(p.in) {
		return out, false
	}
	c := p.in[p.at]
	p.at++
	if c == 'u' {
		r, ok := p.unit()
		if ok && r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(p.in[p.at:], `\u`) {
			at := p.at
			p.at += 2
			if low, ok := p.unit(); ok && low >= 0xdc00 && low < 0xe000 {
				return append(out, string(0x10000+(r-0xd800)<<10+(low-0xdc00))...), true
			}
			p.at = at
		}
		return append(out, string(r)...), ok
	}
	for i := 0; i < len(escapes); i += 2 {
		if escapes[i] == c {
			return append(out, escapes[i+1]), true
		}
	}
	return out, false
}

// unit reads four hexadecimal digits.
func (p *parser) unit() (rune, bool) {
	if len(p.in)-p.at < 4 {
		return 0, false
	}
	for _, c := range []byte(p.in[p.at : p.at+4]) {
		if (c < '0' || c > '9') && (c|32 < 'a' || c|32 > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(p.in[p.at:p.at+4], 16, 32)
	p.at += 4
	return rune(n), err == nil
}
