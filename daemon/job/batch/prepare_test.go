package batch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"durable/ipc/task"
)

// TestBadParams: each slip has an error of its own, and most a hint.
func TestBadParams(t *testing.T) {
	dir := t.TempDir()
	good, empty := writeFile(t, "good.txt", "a\n"), writeFile(t, "empty.txt", "")
	command := func(args ...string) map[string]any {
		return map[string]any{"total_items": 2, "cwd": dir, "command": args}
	}
	with := func(p map[string]any, name string, v any) map[string]any { p[name] = v; return p }
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{}, "total_items: missing"},
		{map[string]any{"total_items": 0}, "total_items: 0"},
		{map[string]any{"total_items": 1, "batch_size": 0}, "batch_size: 0, want 1"},
		{map[string]any{"total_items": 1, "batch_size": -1}, "batch_size: -1, want 1"},
		{map[string]any{"total_items": 1, "processing_delay": -1}, "processing_delay: -1"},
		{map[string]any{"total_items": 1, "parallelism": 0}, "parallelism: 0"},
		{map[string]any{"total_items": 1, "processing_delay": "soon"}, "processing_delay: a JSON string, want a number"},
		{map[string]any{"total_items": 1, "batchsize": 1}, `unknown parameter "batchsize"`},
		{map[string]any{"total_items": 1, "format": "lines"}, "input: missing, with format lines"},
		{map[string]any{"total_items": 1, "format": "xml"}, "input: missing"},
		{map[string]any{"input": good, "format": "xml"}, `format: "xml"`},
		{map[string]any{"input": good, "format": "numbers"}, "format: numbers come without an input"},
		{map[string]any{"input": "good.txt"}, "relative path"},
		{map[string]any{"input": filepath.Join(dir, "none")}, "no such file"},
		{map[string]any{"input": filepath.Join(dir, "*.none")}, "no such file"},
		{map[string]any{"input": filepath.Join(dir, "**", "*.txt")}, "** is not supported"},
		{map[string]any{"input": filepath.Join(dir, "["), "format": "glob"}, "syntax error in pattern"},
		{map[string]any{"input": dir}, "a folder"},
		{map[string]any{"input": empty}, "empty"},
		{map[string]any{"input": writeFile(t, "twice.csv", "a,a\n1,2\n")}, `two columns are called "a"`},
		{map[string]any{"total_items": 1, "retries": 1}, "retries: only with command"},
		{map[string]any{"total_items": 1, "stdin": "lines"}, "stdin: only with command"},
		{with(command("cat"), "stdin", "xml"), `stdin: "xml"`},
		{with(command("cat"), "on_error", "skip"), `on_error: "skip"`},
		{with(command("cat"), "retries", 1000), "retries: 1000"},
		{with(command("echo", "{item}"), "batch_size", 2), "{item} needs batch_size 1"},
		{command("echo", "{foo}"), "no placeholder {foo}"},
		{command("echo", "{}"), "no placeholder {}"},
		{command("echo", "x{items}"), `{items} inside of "x{items}"`},
		{command("echo", "{item}", "{items}"), "want one of them"},
		{command("{item}"), "the program itself is {item}"},
		{command("no-such-program-anywhere"), "no such program on the PATH"},
		{with(command("cat"), "cwd", filepath.Join(dir, "none")), "cwd: "},
	} {
		_, err := newKind().Prepare(t.Context(), task.Spec{Kind: Name, Params: encodeJSON(t, c.params)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.params, err, c.want)
		}
	}
}

// TestBadInput: a malformed item is met before anything is run.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct{ name, content, want string }{
		"not UTF-8":     {"a.txt", "good\nb\xffd\n", "line 2: not UTF-8"},
		"long line":     {"a.txt", "good\n" + strings.Repeat("x", MaxItem+1) + "\n", "line 2: longer than 1048576 bytes"},
		"not JSON":      {"a.jsonl", "{}\n\n{\"a\":\n", "line 3: not a JSON value"},
		"only blank":    {"a.txt", "\n \n\t\n", "no items"},
		"ragged CSV":    {"a.csv", "a,b\n1,2\n3\n", "line 3: wrong number of fields"},
		"CSV quote":     {"a.csv", "a,b\n1,2\n\"3,4\n", "line 3"},
		"CSV long row":  {"a.csv", "a\n1\n\"" + strings.Repeat("x\n", MaxItem), "a row longer than"},
		"CSV not UTF-8": {"a.csv", "a\nb\xff\n", "line 2: not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			l := prepare(t, map[string]any{"input": writeFile(t, c.name, c.content), "processing_delay": 0})
			if _, err := l.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %.300v, want %q", err, c.want)
			}
		})
	}
}

// TestFormats: what is not named is found out.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.txt", "{}\n", "lines"}, {"a.jsonl", "1\n", "jsonl"}, {"a.NDJSON", "1\n", "jsonl"}, {"a.csv", "a\n", "csv"}, {"a.tsv", "a\n", "csv"},
		{"a", "{\"a\":1}\n", "jsonl"}, {"a", "{print}\n", "lines"}, {"a.log", "x", "lines"}, {"a*", "x", "lines"},
	} {
		p := params{Input: writeFile(t, c.name, c.content)}
		if err := p.check(); err != nil || string(p.Format) != c.want {
			t.Errorf("%s with %q: %s, %v; want %s", c.name, c.content, p.Format, err, c.want)
		}
	}
}

// TestChangedInput: an input that is not what it was is refused, in the middle and at the end.
func TestChangedInput(t *testing.T) {
	in := writeFile(t, "in.txt", "1\n2\n3\n4\n")
	l := prepare(t, map[string]any{"input": in, "processing_delay": 0})
	crashAt(l, 6)
	if _, err := l.attempt(t.Context()); err == nil {
		t.Fatal("no crash")
	}
	if err := os.WriteFile(in, []byte("1\n2\n3\n5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(in, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	l.kind.hook = func(string) error { return nil }
	if _, err := l.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "changed since the task began") {
		t.Errorf("error %v", err)
	}
}

// TestDelay: the pause lies between the batches.
func TestDelay(t *testing.T) {
	for _, c := range []struct {
		params map[string]any
		want   time.Duration
	}{
		{map[string]any{"batch_size": 50, "total_items": 500, "processing_delay": 0.3}, 9 * 300 * time.Millisecond},
		{map[string]any{"batch_size": 2, "total_items": 5}, 20 * time.Second},
	} {
		l := prepare(t, c.params)
		synctest.Test(t, func(t *testing.T) {
			l.t = t
			began := time.Now()
			if res := l.finish(); !res.Success || time.Since(began) != c.want {
				t.Errorf("%+v: took %s, want %s: %+v", c.params, time.Since(began), c.want, res)
			}
		})
	}
}
