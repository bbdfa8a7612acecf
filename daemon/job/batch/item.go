package batch

import (
	"bytes"
	"encoding/json"
	"strings"
)

// item is one item as JSON on one line: a string for a line or a file, a number, or what a record is.
type item json.RawMessage

// textItem makes an item of a text, which is UTF-8.
func textItem(text string) item {
	b, err := encode(text)
	if err != nil {
		panic(err) // a string can be encoded
	}
	return b
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// text is the item as an argument or a line: a string without its quotes, anything else as JSON.
func (it item) text() string {
	var s string
	if len(it) > 0 && it[0] == '"' && json.Unmarshal(it, &s) == nil {
		return s
	}
	return string(it)
}

// lines writes a batch with one item a line. A text with a line break in it stays JSON, in its quotes.
func lines(items []item, h handover) []byte {
	var buf bytes.Buffer
	for _, it := range items {
		text := string(it)
		if h == asLines {
			if text = it.text(); strings.ContainsAny(text, "\n\r") {
				text = string(it)
			}
		}
		buf.WriteString(text)
		buf.WriteByte('\n')
	}
	return buf.Bytes()
}

func (it item) MarshalJSON() ([]byte, error) { return it, nil }

func (it *item) UnmarshalJSON(b []byte) error {
	*it = bytes.Clone(b)
	return nil
}
