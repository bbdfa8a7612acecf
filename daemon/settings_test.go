package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/daemon"
	"durable/daemon/config"
	"durable/daemon/job"
	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// template is a job kind that stands for one of the user's own. It does nothing, and would run its program.
type template struct {
	noop.Kind
	name string
	k    config.Kind
}

func newTemplate(k config.Kind) (job.Kind, error) {
	if k.Command[0] == "refused" {
		return nil, task.Errorf(task.FailedPrecondition, "there is no such program")
	}
	return template{name: k.Name, k: k}, nil
}

func (k template) Describe() task.KindInfo {
	return task.KindInfo{Name: k.name, Description: k.k.Description, Tool: "start_" + k.name, Schema: json.RawMessage(`{}`), UserDefined: true}
}

func (k template) Prepare(ctx context.Context, spec task.Spec) (job.Plan, error) {
	plan, err := k.Kind.Prepare(ctx, task.Spec{Params: json.RawMessage(`{"duration":"0s"}`)})
	plan.Effects = []task.Effect{{Act: task.ActRun, Program: k.k.Command[0], Folder: k.k.Cwd}}
	return plan, err
}

// office is a daemon with a configuration, in this process.
type office struct {
	*testing.T
	dir    string
	reload chan struct{}
	stop   func()
	*client.Client
	mcp *client.Client
}

func newOffice(t *testing.T, text string) *office {
	o := &office{T: t, dir: shortDir(t), reload: make(chan struct{})}
	t.Setenv("SHELL", "/bin/sh")
	t.Setenv("HOME", t.TempDir())
	o.write(text)
	o.open()
	return o
}

func (o *office) write(text string) {
	o.Helper()
	if err := os.WriteFile(o.path("config.toml"), []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
}

func (o *office) path(name string) string { return filepath.Join(o.dir, name) }

func (o *office) open() {
	o.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	d := daemon.New(daemon.Config{
		Paths: socket.In(o.dir), Template: newTemplate, Reload: o.reload, Ready: func() { close(ready) },
		Logger: slog.New(slog.DiscardHandler), StopGrace: 5 * time.Second,
	})
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		o.Fatalf("daemon: %v", err)
	}
	o.Client, o.mcp = dial(o.dir, client.Options{Via: task.ViaCLI}), dial(o.dir, client.Options{Via: task.ViaMCP})
	o.stop = sync.OnceFunc(func() {
		closeClient(o.Client)
		closeClient(o.mcp)
		stop()
		if err := <-ended; err != nil {
			o.Errorf("daemon: %v", err)
		}
	})
	o.Cleanup(o.stop)
}

func (o *office) again() {
	o.stop()
	o.open()
}

func (o *office) warnings() string {
	o.Helper()
	info, err := o.Info(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	return strings.Join(info.Warnings, "\n")
}

// own returns the user's own kinds, as the daemon and as kinds.json tell them.
func (o *office) own() (served, listed []string) {
	o.Helper()
	kinds, err := o.Kinds(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	for _, k := range kinds {
		if k.UserDefined {
			served = append(served, k.Name)
		}
	}
	text, err := os.ReadFile(o.path("kinds.json"))
	if err != nil {
		o.Fatal(err)
	}
	var f struct{ Kinds []task.KindInfo }
	if err := json.Unmarshal(text, &f); err != nil || f.Kinds == nil {
		o.Fatalf("kinds.json: %s, %v", text, err)
	}
	for _, k := range f.Kinds {
		listed = append(listed, k.Name)
	}
	slices.Sort(listed)
	return served, listed
}

func (o *office) wantOwn(want ...string) {
	o.Helper()
	if served, listed := o.own(); !slices.Equal(served, want) || !slices.Equal(listed, want) {
		o.Errorf("the daemon has %v, kinds.json %v, want %v", served, listed, want)
	}
}

const deploy = "[kinds.deploy]\ndescription = \"Deploy\"\ncommand = [\"/bin/sh\"]\ncwd = \"/\"\n"

// TestConfiguration is the life of a configuration file.
func TestConfiguration(t *testing.T) {
	o := newOffice(t, deploy)
	ctx := t.Context()
	o.wantOwn("deploy")
	asked, err := o.mcp.Submit(ctx, task.Spec{Kind: "deploy"}, "")
	if err != nil || asked.Phase != task.PhaseAwaitingApproval || asked.Owner.Via != task.ViaMCP {
		t.Fatalf("through MCP: %+v, %v", asked, err)
	}
	if got, err := o.Submit(ctx, task.Spec{Kind: "deploy"}, ""); err != nil || got.Phase == task.PhaseAwaitingApproval {
		t.Errorf("through the CLI: %s, %v", got.Phase, err)
	}
	if w := o.warnings(); !strings.Contains(w, "durablectl approve 1") {
		t.Errorf("warnings: %s", w)
	}
	if _, err := o.Approve(ctx, asked.ID.Ref(), task.ApproveRequest{Always: true}, ""); err != nil {
		t.Fatal(err)
	}
	if end, err := o.Wait(ctx, asked.ID.Ref(), patience); err != nil || end.Status != task.StatusCompleted {
		t.Errorf("approved, it ended %s, %v", end.Status, err)
	}
	o.again() // what was approved for good outlives the daemon
	if got, err := o.mcp.Submit(ctx, task.Spec{Kind: "deploy"}, ""); err != nil || got.Phase == task.PhaseAwaitingApproval {
		t.Errorf("the like of it: %s, %v", got.Phase, err)
	}

	// A reload that fails changes nothing.
	for _, bad := range []string{
		"[polcy]\n", deploy + "[kinds.x]\n", "[kinds.gone]\ndescription = \"d\"\ncommand = [\"refused\"]\n", "[policy]\ncommands = \"deny\"\nclo = \"deny\"\n",
	} {
		o.write(bad)
		if _, err := o.Reload(ctx); err == nil || !strings.Contains(err.Error(), o.path("config.toml")) {
			t.Errorf("%q: %v", bad, err)
		}
		o.wantOwn("deploy")
	}
	if w := o.warnings(); strings.Contains(w, "config") {
		t.Errorf("warnings: %s", w)
	}
	if _, err := o.mcp.Submit(ctx, task.Spec{Kind: "deploy"}, ""); err != nil {
		t.Errorf("after refused reloads: %v", err)
	}

	// One that succeeds changes what it says.
	o.write(strings.ReplaceAll(deploy, "deploy", "ship") + "[policy]\ncommands = \"deny\"\n")
	result, err := o.Reload(ctx)
	if err != nil || !slices.Equal(result.Changed, []string{"policy", "kinds"}) {
		t.Errorf("%v, %v", result, err)
	}
	o.wantOwn("ship")
	if _, err := o.mcp.Submit(ctx, task.Spec{Kind: "ship"}, ""); !errors.Is(err, task.PermissionDenied) || !strings.Contains(task.AsError(err).Hint, "config.toml") {
		t.Errorf("denied: %v", err)
	}
	if result, err = o.Reload(ctx); err != nil || len(result.Changed) != 0 {
		t.Errorf("unchanged: %v, %v", result, err)
	}

	// The signal does the same.
	o.write("")
	events, err := o.Events(ctx, task.EventQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	o.reload <- struct{}{}
	for {
		ev, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == task.EventKinds {
			break
		}
	}
	o.wantOwn()
}

// TestAConfigurationThatCannotBeRead keeps nobody's work waiting, and lets nobody do what it may forbid.
func TestAConfigurationThatCannotBeRead(t *testing.T) {
	o := newOffice(t, deploy+"[policy]\ncommands = \"lsit\"\n")
	ctx := t.Context()
	o.wantOwn()
	if w := o.warnings(); !strings.Contains(w, o.path("config.toml")+":6:1:") || !strings.Contains(w, "durablectl reload") {
		t.Errorf("warnings: %s", w)
	}
	if got, err := o.mcp.Submit(ctx, noopFor(0), ""); err != nil {
		t.Errorf("what runs nothing: %v, %v", got, err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(source, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	params, _ := json.Marshal(map[string]string{"source_path": source, "destination_path": filepath.Join(dir, "b.csv"), "mode": "replace"})
	replace := task.Spec{Kind: "data_migration", Params: params}
	if _, err := o.mcp.Submit(ctx, replace, ""); !errors.Is(err, task.PermissionDenied) || !strings.Contains(err.Error(), ":6:1:") {
		t.Errorf("through MCP: %v", err)
	}
	if got, err := o.Submit(ctx, replace, ""); err != nil || got.Approval != nil {
		t.Errorf("through the CLI: %v", err)
	}
	if got, err := o.Prune(ctx, task.PruneRequest{DryRun: true}); err != nil || got.Tasks != 0 {
		t.Errorf("prune without a known limit: %+v, %v", got, err)
	}
	o.write(deploy)
	result, err := o.Reload(ctx)
	if err != nil || !slices.Equal(result.Changed, []string{"policy", "environment", "retention", "notify", "kinds"}) {
		t.Errorf("%v, %v", result, err)
	}
	o.wantOwn("deploy")
	if w := o.warnings(); w != "" {
		t.Errorf("warnings: %s", w)
	}
	if got, err := o.mcp.Submit(ctx, replace, ""); err != nil || got.Phase != task.PhaseAwaitingApproval || got.Approval.Effects[0].Path != filepath.Join(dir, "b.csv") {
		t.Errorf("through MCP: %+v, %v", got.Approval, err)
	}
}

// TestAKindThatCannotBeMade is missing alone.
func TestAKindThatCannotBeMade(t *testing.T) {
	o := newOffice(t, "[kinds.gone]\ndescription = \"d\"\ncommand = [\"refused\"]\n"+deploy)
	o.wantOwn("deploy")
	if w := o.warnings(); !strings.Contains(w, "the kind gone is missing: there is no such program") {
		t.Errorf("warnings: %s", w)
	}
	if got, err := o.mcp.Submit(t.Context(), task.Spec{Kind: "deploy"}, ""); err != nil || got.Phase != task.PhaseAwaitingApproval {
		t.Errorf("%s, %v", got.Phase, err)
	}
}

// TestNoKindTakesABuiltInName: the configuration knows the names of all that is built in.
func TestNoKindTakesABuiltInName(t *testing.T) {
	for _, k := range daemon.Kinds() {
		info := k.Describe()
		for _, name := range []string{info.Name, info.Alias} {
			if name != "" && !slices.Contains(config.Builtin, name) {
				t.Errorf("%s is not in config.Builtin", name)
			}
		}
	}
}

// TestKindsThatChangeWhileNoDaemonIsThere: a stream that goes on over a restart brings word of other kinds, and of
// nothing where they are the same.
func TestKindsThatChangeWhileNoDaemonIsThere(t *testing.T) {
	const kind = "[kinds.%s]\ndescription = \"d\"\ncommand = [\"true\"]\n"
	o := newOffice(t, fmt.Sprintf(kind, "one"))
	told := func(after task.Cursor) (n int) {
		t.Helper()
		events, err := o.Events(t.Context(), task.EventQuery{After: after})
		if err != nil {
			t.Fatal(err)
		}
		for {
			ev, err := events.Next()
			if errors.Is(err, io.EOF) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			if ev.Type == task.EventKinds {
				n++
			}
		}
	}
	list, err := o.List(t.Context(), task.ListQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	o.again()
	if n := told(list.Cursor); n != 0 {
		t.Errorf("told %d times of kinds that are the same", n)
	}
	o.stop()
	o.write(fmt.Sprintf(kind, "two"))
	o.open()
	if n := told(list.Cursor); n != 1 {
		t.Errorf("told %d times of other kinds, want once", n)
	}
}
