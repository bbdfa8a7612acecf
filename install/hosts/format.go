package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sort"
)

// format is a kind of file. Its methods get the text without a byte order mark, and never change it. path is where our
// entry lies: the key of the servers, and our own.
type format interface {
	// decode reads all of it; what is empty holds nothing.
	decode(doc []byte) (map[string]any, error)
	// set puts the value there, key by key where something is there already.
	set(doc []byte, path []string, value object) ([]byte, error)
	// drop takes away what is below path, if it is there.
	drop(doc []byte, path []string) ([]byte, error)
	// befores are the texts that may have been there before set, likeliest first; the last is always right, if perhaps
	// not to the byte.
	befores(doc []byte, path []string) ([][]byte, error)
	// snippet is the value alone, as a person would paste it into an empty file.
	snippet(path []string, value object) string
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// errUnread is the error of a file that is not what its format says.
type errUnread struct{ err error }

func (e errUnread) Error() string { return e.err.Error() }
func (e errUnread) Unwrap() error { return e.err }

// edit puts text in the place of some bytes.
type edit struct {
	start, end int
	text       string
}

// apply makes edits, none of which overlap.
func apply(doc []byte, edits ...edit) []byte {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].start < edits[j].start })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(doc[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(doc[at:])
	return out.Bytes()
}

// document is a file's text, and how to read and write our entry in it.
type document struct {
	format format
	path   []string
	before object // keys that the host wants before command
	after  object // and behind
}

// add returns the text with our entry.
func (d document) add(text []byte, e Entry) ([]byte, error) {
	mark, doc := unmark(text)
	out, err := d.format.set(doc, d.path, e.fields(d.before, d.after))
	if err != nil {
		return nil, err
	}
	for _, name := range e.unset() {
		if out, err = d.format.drop(out, append(d.path[:len(d.path):len(d.path)], "env", name)); err != nil {
			return nil, err
		}
	}
	if err := d.verify(doc, out, &e); err != nil {
		return nil, err
	}
	return append(mark, out...), nil
}

// remove returns the text without our entry: that of before, if it can be told. known are texts that may have been there.
func (d document) remove(text []byte, known [][]byte) ([]byte, error) {
	mark, doc := unmark(text)
	entry, there, err := d.find(text)
	if err != nil || !there {
		return text, err
	}
	for _, old := range known {
		if _, had, err := d.find(old); err == nil && !had && d.becomes(old, entry, text) {
			return old, nil
		}
	}
	candidates, err := d.format.befores(doc, d.path)
	if err != nil {
		return nil, err
	}
	last := candidates[len(candidates)-1]
	for _, c := range candidates {
		if d.becomes(append(bytes.Clone(mark), c...), entry, text) {
			last = c
			break
		}
	}
	if err := d.verify(doc, last, nil); err != nil {
		return nil, err
	}
	return append(mark, last...), nil
}

// becomes reports whether add turns old into text.
func (d document) becomes(old []byte, e Entry, text []byte) bool {
	got, err := d.add(old, e)
	return err == nil && bytes.Equal(got, text)
}

// find reads our entry. What is there in another form (of a server over HTTP) is an entry without a command.
func (d document) find(text []byte) (e Entry, there bool, err error) {
	_, doc := unmark(text)
	all, err := d.format.decode(doc)
	if err != nil {
		return e, false, err
	}
	v := any(all)
	for _, name := range d.path {
		m, _ := v.(map[string]any)
		if v, there = m[name]; !there {
			return e, false, nil
		}
	}
	m, _ := v.(map[string]any)
	e.Command, _ = m["command"].(string)
	env, _ := m["env"].(map[string]any)
	for _, name := range managed {
		if value, ok := env[name].(string); ok {
			if e.Env == nil {
				e.Env = map[string]string{}
			}
			e.Env[name] = value
		}
	}
	return e, true, nil
}

// verify wants after to be what before is, but for our entry, which must be want; nil: none.
func (d document) verify(before, after []byte, want *Entry) error {
	old, err := d.format.decode(before)
	if err != nil {
		return err
	}
	now, err := d.format.decode(after)
	if err != nil {
		return fmt.Errorf("the result cannot be read: %w", err)
	}
	got, there, err := d.find(after)
	switch {
	case err != nil:
		return err
	case want == nil && there:
		return errors.New("the entry is still there")
	case want != nil && (got.Command != want.Command || !reflect.DeepEqual(got.env(), want.env())):
		return errors.New("the entry is not what was meant")
	}
	if !reflect.DeepEqual(d.others(old), d.others(now)) {
		return errors.New("something else would change")
	}
	return nil
}

// others is all but our entry. Servers that are none are as good as no key for them.
func (d document) others(all map[string]any) map[string]any {
	servers, ok := all[d.path[0]].(map[string]any)
	if !ok {
		return all
	}
	delete(servers, d.path[1])
	if len(servers) == 0 {
		delete(all, d.path[0])
	}
	return all
}

func unmark(text []byte) (mark, doc []byte) {
	if doc, ok := bytes.CutPrefix(text, byteOrderMark); ok {
		return bytes.Clone(byteOrderMark), doc
	}
	return nil, text
}

func blank(doc []byte) bool { return len(bytes.TrimSpace(doc)) == 0 }

// newlineOf is how lines end there.
func newlineOf(doc []byte) string {
	if i := bytes.IndexByte(doc, '\n'); i > 0 && doc[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
