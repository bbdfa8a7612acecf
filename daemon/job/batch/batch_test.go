package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

// line is a task over its attempts.
type line struct {
	t    *testing.T
	kind *Kind
	host *jobtest.Host
	task task.Task
}

func encodeJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newKind() *Kind {
	return New(command.Options{Environment: func(context.Context) []string { return os.Environ() }, Tools: "/"})
}

// prepare submits a task.
func prepare(t *testing.T, params map[string]any) *line {
	t.Helper()
	l := &line{t: t, kind: newKind(), host: jobtest.New(t)}
	if _, there := params["command"]; there && params["cwd"] == nil {
		params["cwd"] = t.TempDir()
	}
	plan, err := l.kind.Prepare(t.Context(), task.Spec{Kind: Name, Params: encodeJSON(t, params)})
	if err != nil {
		t.Fatal(err)
	}
	l.host.SetSecrets(plan.Secrets)
	id := task.ID(fmt.Sprintf("test-%d-%s", os.Getpid(), filepath.Base(filepath.Dir(t.TempDir()))))
	l.task = task.Task{ID: id, RootID: id, Params: plan.Params}
	return l
}

func (l *line) attempt(ctx context.Context) (result, error) {
	l.t.Helper()
	l.host.Revive()
	l.task.Attempt++
	res, err := l.kind.Run(ctx, l.host.Context(l.task))
	if err != nil {
		return result{}, err
	}
	return res.(result), nil
}

func (l *line) finish() result {
	l.t.Helper()
	res, err := l.attempt(l.t.Context())
	if err != nil {
		l.t.Fatalf("%v\n%s", err, l.host.Output())
	}
	return res
}

// records returns what output.jsonl has.
func (l *line) records() []record {
	l.t.Helper()
	var recs []record
	for _, text := range l.artifact(outputName) {
		rec, ok := parse([]byte(text))
		if !ok {
			l.t.Fatalf("output: %q", text)
		}
		recs = append(recs, rec)
	}
	return recs
}

// artifact returns the lines of an artifact.
func (l *line) artifact(name string) []string {
	l.t.Helper()
	dir, err := l.host.ArtifactsDir()
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// check holds the output against n items, every one once and in order.
func (l *line) check(n, size int) (reruns int) {
	l.t.Helper()
	recs := l.records()
	next := 1
	for i, rec := range recs {
		if rec.Batch != int64(i+1) {
			l.t.Fatalf("batch %d at place %d", rec.Batch, i+1)
		}
		for _, it := range rec.all() {
			if it.text() != fmt.Sprint(next) {
				l.t.Fatalf("item %s, want %d", it, next)
			}
			next++
		}
		if rec.Rerun {
			reruns++
		}
	}
	if next != n+1 || len(recs) != (n+size-1)/size {
		l.t.Fatalf("%d items in %d batches, want %d", next-1, len(recs), n)
	}
	return reruns
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTutorial: without a command the batches are paced, and told in the tutorial's words.
func TestTutorial(t *testing.T) {
	l := prepare(t, map[string]any{"batch_size": 3, "total_items": 10, "processing_delay": 0})
	res := l.finish()
	if res.Processed != 10 || res.Total != 10 || res.BatchSize != 3 || res.Delay != 0 || !res.Success || res.Batches != 4 {
		t.Errorf("result %+v", res)
	}
	l.check(10, 3)
	reports := l.host.Reports()
	if first, last := reports[0].Message, reports[len(reports)-1].Message; first != "Processed 0/10 items" || last != "Processed 10/10 items" {
		t.Errorf("reports %q ... %q", first, last)
	}
	if !bytes.Contains(encodeJSON(t, res), []byte(`"processed":10,"total":10,"batch_size":3,"processing_delay":0,"success":true`)) {
		t.Errorf("%s", encodeJSON(t, res))
	}
}

// TestHandover: how a batch reaches its command.
func TestHandover(t *testing.T) {
	lines := writeFile(t, "in.txt", "\uFEFFone\r\n\ntwo words\n{\"x\":1}\nlast")
	jsonl := writeFile(t, "in.jsonl", "{\"a\": 1.50}\n\"a text\"\n[1,2]\n\"two\\nlines\"\n")
	csv := writeFile(t, "in.csv", "\uFEFFid,name\n7,\"a\nb\"\n8,<x>\n")
	for name, c := range map[string]struct {
		params map[string]any
		want   []string
	}{
		"lines":        {map[string]any{"input": lines, "batch_size": 3, "command": []string{"cat"}}, []string{"one\ntwo words\n{\"x\":1}\n", "last\n"}},
		"item":         {map[string]any{"input": lines, "total_items": 2, "command": []string{"echo", "-n", "{{item}}={item}", "{index}"}}, []string{"{item}=one 1", "{item}=two words 2"}},
		"items":        {map[string]any{"input": lines, "batch_size": 10, "command": []string{"printf", "[%s]", "{items}"}}, []string{"[one][two words][{\"x\":1}][last]"}},
		"file":         {map[string]any{"input": lines, "batch_size": 2, "command": []string{"cat", "{file}"}}, []string{"one\ntwo words\n", "{\"x\":1}\nlast\n"}},
		"jsonl":        {map[string]any{"input": jsonl, "batch_size": 4, "command": []string{"cat"}}, []string{"{\"a\": 1.50}\n\"a text\"\n[1,2]\n\"two\\nlines\"\n"}},
		"jsonl, lines": {map[string]any{"input": jsonl, "batch_size": 4, "stdin": "lines", "command": []string{"cat"}}, []string{"{\"a\": 1.50}\na text\n[1,2]\n\"two\\nlines\"\n"}},
		"csv":          {map[string]any{"input": csv, "batch_size": 1, "command": []string{"cat"}}, []string{"{\"id\":\"7\",\"name\":\"a\\nb\"}\n", "{\"id\":\"8\",\"name\":\"<x>\"}\n"}},
		"none":         {map[string]any{"total_items": 1, "stdin": "none", "command": []string{"cat"}}, []string{""}},
		"numbers":      {map[string]any{"total_items": 3, "batch_size": 2, "command": []string{"cat"}}, []string{"1\n2\n", "3\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := prepare(t, c.params)
			if res := l.finish(); !res.Success {
				t.Errorf("result %+v\n%s", res, l.host.Output())
			}
			recs := l.records()
			if len(recs) != len(c.want) {
				t.Fatalf("%d batches, want %d", len(recs), len(c.want))
			}
			for i, rec := range recs {
				if rec.Stdout == nil || *rec.Stdout != c.want[i] {
					t.Errorf("batch %d: %s, want %q", i+1, encodeJSON(t, rec), c.want[i])
				}
			}
		})
	}
}

// TestGlob: the files are the items, as the first attempt found them.
func TestGlob(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a.txt", "c.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := prepare(t, map[string]any{"input": filepath.Join(dir, "*.txt"), "command": []string{"cat", "{item}"}})
	l.finish()
	if recs := l.records(); len(recs) != 2 || *recs[0].Stdout != "a.txt" || *recs[1].Stdout != "b.txt" {
		t.Errorf("%s", encodeJSON(t, recs))
	}
}
