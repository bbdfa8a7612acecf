package training

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a task with its attempts.
type line struct {
	t    testing.TB
	kind *Kind
	host *jobtest.Host
	task task.Task
}

// prepare submits parameters, which are given as pairs of name and value.
func prepare(t testing.TB, params ...any) *line {
	t.Helper()
	l := &line{t: t, kind: New(command.Options{}), host: jobtest.New(t), task: task.Task{ID: "019a-1", RootID: "019a-1", Number: 7}}
	plan, err := l.kind.Prepare(t.Context(), task.Spec{Params: jsonOf(t, params...)})
	if err != nil {
		t.Fatal(err)
	}
	l.task.Params = plan.Params
	return l
}

func jsonOf(t testing.TB, pairs ...any) json.RawMessage {
	t.Helper()
	m := map[string]any{"model_name": "m"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (l *line) attempt(ctx context.Context) (*result, error) {
	l.t.Helper()
	l.host.Revive()
	l.task.Attempt++
	v, err := l.kind.Run(ctx, l.host.Context(l.task))
	if err != nil {
		return nil, err
	}
	return v.(*result), nil
}

func (l *line) finish() *result {
	l.t.Helper()
	res, err := l.attempt(l.t.Context())
	if err != nil {
		l.t.Fatalf("%v\n%s", err, l.host.Output())
	}
	return res
}

// artifact returns a file that the task left.
func (l *line) artifact(name string) string {
	l.t.Helper()
	dir, err := l.host.ArtifactsDir()
	if err != nil {
		l.t.Fatal(err)
	}
	return read(l.t, filepath.Join(dir, name))
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mails is a data set of texts: what is in the words tells the label.
func mails(n int) string {
	var b strings.Builder
	b.WriteString("text,label\n")
	for i := range n {
		words, label := "the meeting about the report is on monday with notes number", "ham"
		if i%3 == 0 {
			words, label = "win free money now click the offer and get a prize number", "spam"
		}
		fmt.Fprintf(&b, "\"%s %d, said nobody\",%s\n", words, i*7919%101, label)
	}
	return b.String()
}

func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
