//go:build unix

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/config"
	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/daemon/shim"
	"durable/ipc/task"
)

func ptr[T any](v T) *T { return &v }

// deploy is a template with a parameter of each type.
func deploy(dir string) config.Kind {
	return config.Kind{
		Name: "deploy_site", Description: "Deploy the site.", Cwd: dir, Env: map[string]string{"STAGE": "hushhush"},
		Command: []string{"deploy", "{target}", "{site}", "--from", "{source}", "--tries", "{tries}", "--rate", "{rate}", "{dry}", "--note", "{note}", "{api_token}"},
		Params: []config.Param{
			{Name: "target", Type: config.TypeEnum, Enum: []string{"staging", "live"}, Default: "staging", Description: "Where to."},
			{Name: "site", Type: config.TypeString, Required: true, Description: "Its name.", MaxLength: ptr(int64(20))},
			{Name: "source", Type: config.TypePath, Default: "/srv"},
			{Name: "tries", Type: config.TypeInteger, Min: ptr(0.0), Max: ptr(5.0), Default: int64(2)},
			{Name: "rate", Type: config.TypeNumber, Default: 1.5},
			{Name: "dry", Type: config.TypeBoolean},
			{Name: "note", Type: config.TypeString, Default: "none"},
			{Name: "api_token", Type: config.TypeString},
		},
		Timeout: 2 * time.Hour, Concurrency: 1,
	}
}

func newTemplate(t *testing.T, k config.Kind, dir string) *command.Template {
	t.Helper()
	script(t, dir, "deploy", "#!/bin/sh\n", 0o755)
	template, err := command.NewTemplate(k, command.Options{Environment: environment([]string{"PATH=" + dir})})
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestTemplateDescribe(t *testing.T) {
	dir := t.TempDir()
	info := newTemplate(t, deploy(dir), dir).Describe()
	if info.Tool != "start_deploy_site" || !info.UserDefined || info.Title != "deploy site" || len(info.Streams) != 3 {
		t.Errorf("%+v", info)
	}
	const want = `{"type":"object","additionalProperties":false,"properties":{` +
		`"target":{"type":"string","description":"Where to.","enum":["staging","live"],"default":"staging"},` +
		`"site":{"type":"string","description":"Its name.","maxLength":20},` +
		`"source":{"type":"string","format":"path","description":"(path)","default":"/srv"},` +
		`"tries":{"type":"integer","minimum":0,"maximum":5,"default":2},` +
		`"rate":{"type":"number","default":1.5},` +
		`"dry":{"type":"boolean"},` +
		`"note":{"type":"string","default":"none"},` +
		`"api_token":{"type":"string","writeOnly":true}},"required":["site"]}`
	if diff := cmp.Diff(want, string(info.Schema)); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(info.Schema) {
		t.Error("no JSON")
	}
}

func TestTemplatePlan(t *testing.T) {
	dir := t.TempDir()
	plan, err := newTemplate(t, deploy(dir), dir).Prepare(t.Context(), spec(t, map[string]any{
		"site": "a b; rm -rf $HOME", "source": dir + "/x/..", "tries": 5.0, "dry": true, "note": "-v {site}", "api_token": "swordfish",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Program, Dir string
		Args         []string
		Env          map[string]string
	}
	if err := json.Unmarshal(plan.Secrets, &o); err != nil {
		t.Fatal(err)
	}
	want := []string{"deploy", "staging", "a b; rm -rf $HOME", "--from", dir, "--tries", "5", "--rate", "1.5", "true", "--note", "-v {site}", "swordfish"}
	if diff := cmp.Diff(want, o.Args); diff != "" {
		t.Error(diff)
	}
	if o.Program != filepath.Join(dir, "deploy") || o.Dir != dir || o.Env["STAGE"] != "hushhush" {
		t.Errorf("%+v", o)
	}
	if plan.Effects != nil || plan.Timeout != task.Duration(2*time.Hour) {
		t.Errorf("effects %v, timeout %s", plan.Effects, plan.Timeout)
	}
	if want := "deploy_site 'a b; rm -rf $HOME' " + dir + " 5 true"; !strings.HasPrefix(plan.Title, want[:40]) {
		t.Errorf("title %q", plan.Title)
	}
	if seen := string(plan.Params) + plan.Title; strings.Contains(seen, "swordfish") || strings.Contains(seen, "hushhush") {
		t.Errorf("a secret in %s", seen)
	}
}

func TestTemplateRefused(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"missing", map[string]any{}, "site: missing"},
		{"unknown", map[string]any{"site": "x", "sit": 1}, `unknown parameter "sit"`},
		{"enum", map[string]any{"site": "x", "target": "prod"}, "target: "},
		{"type", map[string]any{"site": 5}, "site: "},
		{"fraction", map[string]any{"site": "x", "tries": 1.5}, "tries: 1.5, want a whole number"},
		{"too much", map[string]any{"site": "x", "tries": 6}, "tries: 6, want at most 5"},
		{"no number", map[string]any{"site": "x", "rate": "fast"}, "rate: "},
		{"no boolean", map[string]any{"site": "x", "dry": "yes"}, "dry: "},
		{"too long", map[string]any{"site": strings.Repeat("x", 21)}, "site: "},
		{"relative", map[string]any{"site": "x", "source": "a/b"}, "source: a/b is a relative path"},
		{"NUL", map[string]any{"site": "x\x00"}, "site: holds a NUL"},
		{"an option", map[string]any{"site": "--force"}, `site: "--force" would be taken for an option`},
		{"masked", map[string]any{"site": "x", "api_token": "***"}, "api_token: its value is not there any more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTemplate(t, deploy(dir), dir).Prepare(t.Context(), spec(t, tt.params))
			if !errors.Is(err, task.InvalidArgument) && !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestTemplateOptions: behind -- nothing is an option, and an argument that was not given takes its place with it.
func TestTemplateOptions(t *testing.T) {
	dir := t.TempDir()
	k := config.Kind{
		Name: "find_text", Description: "Find.", Cwd: dir, Command: []string{"deploy", "{color}", "--", "{text}"},
		Params: []config.Param{{Name: "color", Type: config.TypeString}, {Name: "text", Type: config.TypeString}},
	}
	plan, err := newTemplate(t, k, dir).Prepare(t.Context(), spec(t, map[string]any{"text": "-v"}))
	if err != nil || !strings.Contains(string(plan.Secrets), `"args":["deploy","--","-v"]`) {
		t.Errorf("%v, %s", err, plan.Secrets)
	}
}

func TestTemplateRun(t *testing.T) {
	dir := t.TempDir()
	template := newTemplate(t, deploy(dir), dir)
	plan, err := template.Prepare(t.Context(), spec(t, map[string]any{"site": "x"}))
	if err != nil {
		t.Fatal(err)
	}
	first, second := newProgram(), newProgram()
	attempt := func(ctx context.Context, p *program) (*jobtest.Host, <-chan error) {
		template.SetHolder(p)
		host, result := jobtest.New(t), make(chan error, 1)
		host.SetSecrets(plan.Secrets)
		j := host.Context(task.Task{ID: "0190", Attempt: 1, Params: plan.Params})
		started := make(chan struct{})
		go func() {
			close(started)
			_, err := template.Run(ctx, j)
			result <- err
		}()
		<-started
		return host, result
	}
	host, one := attempt(t.Context(), first)
	await(t, "the first", func() bool { return len(host.Marks()) == 1 })

	ctx, cancel := context.WithCancelCause(t.Context())
	waiter, gone := attempt(ctx, second)
	await(t, "its word", func() bool {
		return strings.Contains(waiter.Output(), "waits for its turn: 1 of this kind run already")
	})
	cancel(job.ErrStop)
	if err := <-gone; !errors.Is(err, job.ErrStop) || second.starts > 0 {
		t.Fatalf("%v, %d starts", err, second.starts)
	}

	waiter, two := attempt(t.Context(), second)
	await(t, "its word", func() bool { return waiter.Output() != "" })
	if len(waiter.Marks()) > 0 {
		t.Error("runs beside the first")
	}
	close(first.end)
	if err := <-one; err != nil {
		t.Fatal(err)
	}
	await(t, "the second", func() bool { return len(waiter.Marks()) == 1 })
	close(second.end)
	if err := <-two; err != nil {
		t.Fatal(err)
	}
	if want := []string{"deploy", "staging", "x"}; !slices.Equal(second.spec.Args[:3], want) {
		t.Errorf("%v", second.spec.Args)
	}
}

func TestLimits(t *testing.T) {
	var l command.Limits
	never := func(int) { t.Error("waits") }
	a, err := l.Enter(t.Context(), "k", 1, false, never)
	if err != nil {
		t.Fatal(err)
	}
	adopted, _ := l.Enter(t.Context(), "k", 1, true, never) // runs already
	other, _ := l.Enter(t.Context(), "other", 1, false, never)
	free, _ := l.Enter(t.Context(), "free", 0, false, never)
	in := make(chan func())
	waiting := make(chan struct{}, 2)
	for range 2 {
		go func() {
			leave, err := l.Enter(context.Background(), "k", 1, false, func(int) { waiting <- struct{}{} })
			if err != nil {
				t.Error(err)
			}
			in <- leave
		}()
	}
	<-waiting
	<-waiting
	a()
	select {
	case <-in:
		t.Fatal("let in beside the adopted one")
	default:
	}
	adopted()
	b := <-in
	select {
	case <-in:
		t.Fatal("two at once")
	default:
	}
	b()
	(<-in)()
	other()
	free()
}

func TestTemplateWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	template := newTemplate(t, deploy(dir), dir)
	p := ended(shim.Exit{Started: began, Ended: began}, nil)
	template.SetHolder(p)
	host := jobtest.New(t)
	if _, err := template.Run(t.Context(), host.Context(task.Task{ID: "0190", Attempt: 1, Params: []byte(`{"site":"x"}`)})); err != nil || p.starts != 1 {
		t.Errorf("%v, %d starts", err, p.starts)
	}
	if _, err := template.Revive(t.Context(), task.Task{Params: []byte(`{"site":"x"}`)}, task.RetryRequest{Env: map[string]string{"A": "b"}}); !errors.Is(err, task.InvalidArgument) {
		t.Error(err)
	}
	if _, err := command.NewTemplate(config.Kind{Name: "command"}, command.Options{}); err == nil {
		t.Error("a name that is taken")
	}
}

// TestATemplateFurnishes: what may have to wait for its turn is not furnished before that.
func TestATemplateFurnishes(t *testing.T) {
	for limit := range 2 {
		dir := t.TempDir()
		kind := deploy(dir)
		kind.Concurrency = limit
		attempt := filepath.Join(t.TempDir(), "1")
		newTemplate(t, kind, dir).Furnish(attempt)
		if _, err := os.Stat(attempt); (err == nil) != (limit == 0) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
