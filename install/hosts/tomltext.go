package hosts

import (
	"bytes"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlText says where the tables and keys of a TOML text lie.
type tomlText struct {
	tables []tomlTable
	keys   []tomlKey
}

// tomlTable is a header. after is where the next line begins.
type tomlTable struct {
	path         []string
	start, after int
	array        bool
}

// tomlKey is a key with its value, also one inside an inline table.
type tomlKey struct {
	path              []string // from the top
	table             []string // the header it stands under
	inside            []string // the inline table it stands in; nil: none
	start, value, end int
	after             int // where the next line begins
	at                int // the header's index; -1: none
}

// readTOML must be given a text that toml.Unmarshal accepts.
func readTOML(doc []byte) (tomlText, error) {
	var t tomlText
	p := unstable.Parser{}
	p.Reset(doc)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			first, keys := names(e.Key())
			start := lineStart(doc, int(first.Raw.Offset))
			t.tables = append(t.tables, tomlTable{path: keys, start: start, after: lineEnd(doc, start), array: e.Kind == unstable.ArrayTable})
		case unstable.KeyValue:
			var under []string
			if len(t.tables) > 0 {
				under = t.tables[len(t.tables)-1].path
			}
			t.collect(doc, e, under, under, nil)
		}
	}
	if err := p.Error(); err != nil {
		return t, errUnread{err}
	}
	return t, nil
}

// collect notes a key, and those of an inline table that is its value.
func (t *tomlText) collect(doc []byte, e *unstable.Node, table, prefix, inside []string) {
	last, keys := namesLast(e.Key())
	kv := tomlKey{
		path: append(slices.Clone(prefix), keys...), table: table, inside: inside, at: len(t.tables) - 1,
		start: int(e.Raw.Offset), end: int(e.Raw.Offset + e.Raw.Length),
	}
	for kv.end > kv.start && (doc[kv.end-1] == ' ' || doc[kv.end-1] == '\t') {
		kv.end--
	}
	kv.value = int(last.Raw.Offset+last.Raw.Length) + bytes.IndexByte(doc[last.Raw.Offset+last.Raw.Length:], '=') + 1
	for doc[kv.value] == ' ' || doc[kv.value] == '\t' {
		kv.value++
	}
	kv.after = lineEnd(doc, kv.end)
	t.keys = append(t.keys, kv)
	if e.Value().Kind != unstable.InlineTable {
		return
	}
	for it := e.Value().Children(); it.Next(); {
		if it.Node().Kind == unstable.KeyValue {
			t.collect(doc, it.Node(), table, kv.path, kv.path)
		}
	}
}

func names(it unstable.Iterator) (first *unstable.Node, keys []string) {
	for it.Next() {
		if first == nil {
			first = it.Node()
		}
		keys = append(keys, string(it.Node().Data))
	}
	return first, keys
}

func namesLast(it unstable.Iterator) (last *unstable.Node, keys []string) {
	for it.Next() {
		last = it.Node()
		keys = append(keys, string(last.Data))
	}
	return last, keys
}

// under reports whether path is at or below tree. Nothing is below no tree.
func under(path, tree []string) bool {
	return len(path) >= len(tree) && slices.Equal(path[:len(tree)], tree)
}

// has reports whether anything is at or below path.
func (t tomlText) has(path []string) bool {
	return slices.ContainsFunc(t.tables, func(h tomlTable) bool { return under(h.path, path) }) ||
		slices.ContainsFunc(t.keys, func(k tomlKey) bool { return under(k.path, path) })
}

func (t tomlText) key(path []string) *tomlKey {
	if i := slices.IndexFunc(t.keys, func(k tomlKey) bool { return slices.Equal(k.path, path) }); i >= 0 {
		return &t.keys[i]
	}
	return nil
}

func (t tomlText) table(path []string) *tomlTable {
	if i := slices.IndexFunc(t.tables, func(h tomlTable) bool { return slices.Equal(h.path, path) && !h.array }); i >= 0 {
		return &t.tables[i]
	}
	return nil
}

// lastOf is where the line after a table's last key begins: comments behind it belong to what follows.
func (t tomlText) lastOf(table tomlTable) int {
	at := table.after
	i := slices.IndexFunc(t.tables, func(h tomlTable) bool { return h.start == table.start })
	for _, k := range t.keys {
		if k.at == i && k.inside == nil {
			at = max(at, k.after)
		}
	}
	return at
}

func lineStart(doc []byte, at int) int { return bytes.LastIndexByte(doc[:at], '\n') + 1 }

func lineEnd(doc []byte, at int) int {
	if i := bytes.IndexByte(doc[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(doc)
}
