package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"durable/daemon/config"
	"durable/daemon/policy"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a folder with programs and folders in it, some of them links.
//
//	bin/multi, bin/tool -> multi, alias -> bin, src/app/, src/link -> other, other/, src/out.csv, src/out-link -> ../other/real.csv
type world struct{ dir string }

func newWorld(t *testing.T) world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := world{dir}
	for _, folder := range []string{"bin", "src/app", "other", "srcery"} {
		if err := os.MkdirAll(w.in(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"bin/multi", "src/out.csv", "other/real.csv"} {
		if err := os.WriteFile(w.in(file), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"bin/tool": "multi", "alias": "bin", "src/link": "../other", "src/out-link": "../other/real.csv"} {
		if err := os.Symlink(filepath.FromSlash(to), w.in(link)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w world) in(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func (w world) run(program, folder string) task.Effect {
	return task.Effect{Act: task.ActRun, Program: w.in(program), Folder: w.in(folder)}
}

func (w world) overwrite(path string) task.Effect {
	return task.Effect{Act: task.ActOverwrite, Path: w.in(path)}
}

const (
	start  = "start"
	ask    = "ask"
	refuse = "refuse"
)

func verdict(t *testing.T, p *policy.Policy, via string, effects ...task.Effect) string {
	t.Helper()
	asks, err := p.Judge(task.Caller{Via: via}, effects)
	switch {
	case errors.Is(err, task.PermissionDenied) && !asks:
		if task.AsError(err).Hint == "" {
			t.Errorf("%v: no hint", err)
		}
		return refuse
	case err != nil:
		t.Fatalf("judge: %v", err)
	case asks:
		return ask
	}
	return start
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		rules    config.Policy
		via      string
		want     string
		noEffect string // what a task without effects gets
	}{
		{config.Policy{}, task.ViaMCP, ask, start},
		{config.Policy{}, task.ViaCLI, start, start},
		{config.Policy{}, "", start, start},
		{config.Policy{Commands: config.Allow}, task.ViaMCP, start, start},
		{config.Policy{Commands: config.Deny}, task.ViaMCP, refuse, start},
		{config.Policy{Commands: config.Deny}, task.ViaCLI, start, start},
		{config.Policy{Commands: config.List}, task.ViaMCP, refuse, start},
		{config.Policy{CLI: config.Ask}, task.ViaCLI, ask, start},
		{config.Policy{CLI: config.Deny}, "", refuse, start},
		{config.Policy{CLI: config.Deny}, task.ViaMCP, ask, start},
	} {
		p := policy.New(w.in(policy.FileName))
		p.Load(tt.rules)
		for _, e := range []task.Effect{w.run("bin/multi", "src"), w.overwrite("src/out.csv"), {Act: "something else"}} {
			if got := verdict(t, p, tt.via, e); got != tt.want {
				t.Errorf("%+v through %q: %s is a case to %s, want %s", tt.rules, tt.via, policy.Describe(e), got, tt.want)
			}
		}
		if got := verdict(t, p, tt.via); got != tt.noEffect {
			t.Errorf("%+v through %q, without effects: %s", tt.rules, tt.via, got)
		}
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t)
	programs, folders := []string{w.in("bin/multi")}, []string{w.in("src")}
	for _, tt := range []struct {
		name     string
		programs []string
		folders  []string
		effects  []task.Effect
		listed   bool
	}{
		{"program in its folder", programs, folders, []task.Effect{w.run("bin/multi", "src")}, true},
		{"below its folder", programs, folders, []task.Effect{w.run("bin/multi", "src/app")}, true},
		{"path that is not clean", programs, folders, []task.Effect{w.run("bin/../bin/multi", "src/app/..")}, true},
		{"through a link to the program's folder", programs, folders, []task.Effect{w.run("alias/multi", "src")}, true},
		{"listed through a link", []string{w.in("alias/multi")}, folders, []task.Effect{w.run("bin/multi", "src")}, true},
		{"another name of the same file", programs, folders, []task.Effect{w.run("bin/tool", "src")}, false},
		{"the file behind a listed name", []string{w.in("bin/tool")}, folders, []task.Effect{w.run("bin/multi", "src")}, false},
		{"another folder", programs, folders, []task.Effect{w.run("bin/multi", "other")}, false},
		{"a folder whose name begins alike", programs, folders, []task.Effect{w.run("bin/multi", "srcery")}, false},
		{"out of the folder", programs, folders, []task.Effect{w.run("bin/multi", "src/../other")}, false},
		{"out of the folder by a link", programs, folders, []task.Effect{w.run("bin/multi", "src/link")}, false},
		{"another program", programs, folders, []task.Effect{w.run("bin/other", "src")}, false},
		{"any folder", programs, nil, []task.Effect{w.run("bin/multi", "other")}, true},
		{"no folder", programs, []string{}, []task.Effect{w.run("bin/multi", "other")}, false},
		{"root as the folder", programs, []string{filepath.VolumeName(w.dir) + string(filepath.Separator)}, []task.Effect{w.run("bin/multi", "other")}, true},
		{"no program", nil, folders, []task.Effect{w.run("bin/multi", "src")}, false},
		{"a bare name", programs, nil, []task.Effect{{Act: task.ActRun, Program: "multi", Folder: w.in("src")}}, false},
		{"file", nil, folders, []task.Effect{w.overwrite("src/out.csv")}, true},
		{"file that is not there yet", nil, folders, []task.Effect{w.overwrite("src/new/a.csv")}, true},
		{"file elsewhere", nil, folders, []task.Effect{w.overwrite("other/real.csv")}, false},
		{"file elsewhere by a link", nil, folders, []task.Effect{w.overwrite("src/out-link")}, false},
		{"file elsewhere by a folder's link", nil, folders, []task.Effect{w.overwrite("src/link/new.csv")}, false},
		{"file with no folder listed", programs, nil, []task.Effect{w.overwrite("src/out.csv")}, false},
		{"both", programs, folders, []task.Effect{w.run("bin/multi", "src"), w.overwrite("src/out.csv")}, true},
		{"one of two", programs, folders, []task.Effect{w.run("bin/multi", "src"), w.overwrite("other/real.csv")}, false},
		{"the other of two", programs, folders, []task.Effect{w.overwrite("other/real.csv"), w.run("bin/multi", "src")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policy.New(w.in(policy.FileName))
			for rule, otherwise := range map[config.Rule]string{config.List: refuse, config.Ask: ask} {
				p.Load(config.Policy{Commands: rule, Programs: tt.programs, Folders: tt.folders})
				want := start
				if !tt.listed {
					want = otherwise
				}
				if got := verdict(t, p, task.ViaMCP, tt.effects...); got != want {
					t.Errorf("%s: got %s, want %s", rule, got, want)
				}
			}
		})
	}
}

func TestRemember(t *testing.T) {
	w := newWorld(t)
	path := w.in(policy.FileName)
	p := policy.New(path)
	approved := []task.Effect{w.run("alias/multi", "src/link"), w.overwrite("src/out-link")}
	if err := p.Remember(approved); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info, err)
	}
	for name, p := range map[string]*policy.Policy{"at once": p, "read anew": policy.New(path)} {
		for _, tt := range []struct {
			effect task.Effect
			want   string
		}{
			{w.run("bin/multi", "other"), start},
			{w.run("bin/multi", "src"), ask},
			{w.run("bin/multi", "other/below"), ask},
			{w.run("bin/tool", "other"), ask},
			{w.overwrite("other/real.csv"), start},
			{w.overwrite("src/out.csv"), ask},
		} {
			if got := verdict(t, p, task.ViaMCP, tt.effect); got != tt.want {
				t.Errorf("%s: to %s: %s, want %s", name, policy.Describe(tt.effect), got, tt.want)
			}
		}
		want := []task.Effect{{Act: task.ActOverwrite, Path: w.in("other/real.csv")}, {Act: task.ActRun, Program: w.in("bin/multi"), Folder: w.in("other")}}
		if diff := cmp.Diff(want, p.Approved()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		p.Load(config.Policy{Commands: config.List})
		if got := verdict(t, p, task.ViaMCP, approved...); got != refuse {
			t.Errorf("%s: under list, an approval counted: %s", name, got)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Remember(approved); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again for nothing: %v", err)
	}
	if names, _ := filepath.Glob(path + ".*"); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestDamage: what cannot be read approves nothing and is not overwritten.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	path := w.in(policy.FileName)
	for name, text := range map[string]string{"no JSON": "{", "empty": "", "of a later version": `{"version":2,"approved":[]}`} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := policy.New(path)
			if w := p.Warnings(); len(w) != 1 || !strings.Contains(w[0], path) {
				t.Errorf("warnings: %q", w)
			}
			if got := verdict(t, p, task.ViaMCP, w.run("bin/multi", "src")); got != ask {
				t.Errorf("got %s", got)
			}
			err := p.Remember([]task.Effect{w.run("bin/multi", "src")})
			if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(task.AsError(err).Hint, path) {
				t.Errorf("%v", err)
			}
			if got, _ := os.ReadFile(path); string(got) != text {
				t.Errorf("overwritten with %q", got)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			p.Load(config.Policy{})
			if err := p.Remember([]task.Effect{w.run("bin/multi", "src")}); err != nil || len(p.Warnings()) != 0 {
				t.Errorf("after it was moved away: %v, %q", err, p.Warnings())
			}
		})
	}
}

// TestAnApprovalThatCannotBeWrittenIsNone: memory and file never say different things.
func TestAnApprovalThatCannotBeWrittenIsNone(t *testing.T) {
	w := newWorld(t)
	p := policy.New(w.in("none/" + policy.FileName))
	if err := p.Remember([]task.Effect{w.run("bin/multi", "src")}); !errors.Is(err, task.Unavailable) {
		t.Errorf("%v", err)
	}
	if got := verdict(t, p, task.ViaMCP, w.run("bin/multi", "src")); got != ask {
		t.Errorf("got %s", got)
	}
}

func TestDistrust(t *testing.T) {
	w := newWorld(t)
	p := policy.New(w.in(policy.FileName))
	p.Distrust("config.toml:3:1: unknown key")
	e := w.run("bin/multi", "src")
	if got := verdict(t, p, task.ViaMCP, e); got != refuse {
		t.Errorf("MCP: %s", got)
	}
	if got := verdict(t, p, task.ViaCLI, e); got != start {
		t.Errorf("CLI: %s", got)
	}
	if _, err := p.Judge(task.Caller{Via: task.ViaMCP}, []task.Effect{e}); !strings.Contains(err.Error(), "config.toml:3:1") {
		t.Errorf("%v", err)
	}
	p.Load(config.Policy{Commands: config.Allow})
	if got := verdict(t, p, task.ViaMCP, e); got != start {
		t.Errorf("after a load: %s", got)
	}
}

func TestCrowd(t *testing.T) {
	w := newWorld(t)
	p := policy.New(w.in(policy.FileName))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			e := w.run("bin/multi", "src/"+strings.Repeat("x", i+1))
			if err := p.Remember([]task.Effect{e}); err != nil {
				t.Error(err)
			}
			p.Load(config.Policy{})
			if got := verdict(t, p, task.ViaMCP, e); got != start {
				t.Errorf("%d: %s", i, got)
			}
		})
	}
	group.Wait()
	if n := len(policy.New(w.in(policy.FileName)).Approved()); n != 8 {
		t.Errorf("%d approved", n)
	}
}
