package migration

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// member is one key of a JSON object with its value.
type member struct {
	key   []byte
	value value
}

var (
	errNotJSON   = errors.New("not valid JSON")
	errNotObject = errors.New("not a JSON object")
	errNotUTF8   = errors.New("not valid UTF-8")
)

// parseObject appends the members of a JSON object to members, in order. encoding/json judges whether
// line is JSON; walking over what it found good keeps what its own decoding into a map loses: the order
// of the keys, a key that comes twice, and the digits of a number.
func parseObject(line []byte, members []member) ([]member, error) {
	switch {
	case !json.Valid(line):
		return members, errNotJSON
	case line[0] != '{':
		return members, errNotObject
	case !utf8.Valid(line):
		return members, errNotUTF8
	}
	for b := skipSpace(line[1:]); b[0] != '}'; {
		end := stringEnd(b)
		key, err := unquote(b[:end])
		if err != nil {
			return members, err
		}
		b = skipSpace(skipSpace(b[end:])[1:]) // the colon
		end = valueEnd(b)
		v, err := parseValue(b[:end])
		if err != nil {
			return members, err
		}
		for _, m := range members {
			if bytes.Equal(m.key, key) {
				return members, errors.New("the key " + string(quoted(string(key))) + " comes twice")
			}
		}
		members = append(members, member{key, v})
		if b = skipSpace(b[end:]); b[0] == ',' {
			b = skipSpace(b[1:])
		}
	}
	return members, nil
}

func parseValue(b []byte) (value, error) {
	switch b[0] {
	case '"':
		s, err := unquote(b)
		return string(s), err
	case '{', '[':
		var buf bytes.Buffer
		err := json.Compact(&buf, b)
		return document(buf.String()), err
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case 'n':
		return nil, nil
	}
	return number(string(b)), nil
}

// unquote returns what the JSON string b stands for. It may share b's memory.
func unquote(b []byte) ([]byte, error) {
	inner := b[1 : len(b)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	return []byte(s), err
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// stringEnd returns the length of the string that b, valid JSON, begins with.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueEnd returns the length of the value that b, valid JSON, begins with.
func valueEnd(b []byte) int {
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
	default:
		if i := bytes.IndexAny(b, ",}] \t\r\n"); i >= 0 {
			return i
		}
		return len(b)
	}
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
