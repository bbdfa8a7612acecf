package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"durable/daemon/config"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func setHome(t *testing.T) string {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	return home
}

func number(f float64) *float64 { return &f }
func length(n int64) *int64     { return &n }

func TestLoad(t *testing.T) {
	home := setHome(t)
	in := func(name string) string { return filepath.Join(home, name) }
	got, err := config.Load(write(t, `
[policy]
cli = "list"
commands = "deny"
programs = ["~/bin/a"]
folders = ["~", "~/src/../src"]

[environment]
source = "daemon"
path = ["~/bin"]
set = { LANG = "C.UTF-8", EMPTY = "" }

[retention]
days = 7
max = "1.5GiB"

[http]
address = "127.0.0.1:8080"
auth = "none"

[notify]
enabled = false
after = "5m"

[kinds.second]
description = "Two"
command = ["make", "{jobs}", "{what}", "{dir}", "{quick}", "{rate}"]
cwd = "~/src"
env.A = "1"
timeout = "1h30m"
concurrency = 2
[kinds.second.params.jobs]
type = "integer"
min = 1
max = 64
default = 8
[kinds.second.params]
what = { type = "enum", enum = ["all", "clean"], required = true }
dir = { type = "path", default = "~/x", max_length = 100 }
quick.type = "boolean"
quick.default = false
rate = { type = "number", min = 0.5, description = "How fast" }

[kinds.first]
description = "One"
command = ["~/bin/one"]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Policy:      config.Policy{Commands: config.Deny, CLI: config.List, Programs: []string{in("bin/a")}, Folders: []string{home, in("src")}},
		Environment: config.Environment{Source: config.SourceDaemon, Path: []string{in("bin")}, Set: map[string]string{"LANG": "C.UTF-8", "EMPTY": ""}},
		Retention:   config.Retention{Days: 7, Max: 3 << 29},
		HTTP:        config.HTTP{Address: "127.0.0.1:8080", Auth: "none"},
		Notify:      config.Notify{Off: true, After: 5 * time.Minute},
		Kinds: []config.Kind{
			{
				Name: "second", Description: "Two", Command: []string{"make", "{jobs}", "{what}", "{dir}", "{quick}", "{rate}"},
				Cwd: in("src"), Env: map[string]string{"A": "1"}, Timeout: 90 * time.Minute, Concurrency: 2,
				Params: []config.Param{
					{Name: "jobs", Type: "integer", Min: number(1), Max: number(64), Default: int64(8)},
					{Name: "what", Type: "enum", Enum: []string{"all", "clean"}, Required: true},
					{Name: "dir", Type: "path", Default: in("x"), MaxLength: length(100)},
					{Name: "quick", Type: "boolean", Default: false},
					{Name: "rate", Type: "number", Min: number(0.5), Description: "How fast"},
				},
			},
			{Name: "first", Description: "One", Command: []string{in("bin/one")}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNoFile: the zero Config has defaults that are safe.
func TestNoFile(t *testing.T) {
	got, err := config.Load(filepath.Join(t.TempDir(), "none.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&config.Config{}, got); diff != "" {
		t.Error(diff)
	}
	for via, want := range map[string]config.Rule{task.ViaMCP: config.Ask, task.ViaCLI: config.Allow, "": config.Allow} {
		if rule := got.Policy.Rule(via); rule != want {
			t.Errorf("through %q: %s, want %s", via, rule, want)
		}
	}
	if age, bytes := got.Retention.Limits(); age != 30*24*time.Hour || bytes != 10<<30 {
		t.Errorf("kept %s, %d bytes", age, bytes)
	}
	none, err := config.Load(write(t, "[retention]\ndays = 0\nmax = \"0\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if age, bytes := none.Retention.Limits(); age != 0 || bytes != 0 {
		t.Errorf("without limits: %s, %d bytes", age, bytes)
	}
}

// kind is a file with one sound kind, and lines in it; the first of them is line 4.
func kind(lines ...string) string {
	return "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\"]\n" + strings.Join(lines, "\n") + "\n"
}

// param is a file with one parameter and lines in it; the first of them is line 5.
func param(lines ...string) string {
	return "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{p}\"]\n[kinds.k.params.p]\n" + strings.Join(lines, "\n") + "\n"
}

// TestRefused: each violation has its place, what is wrong and, where it can be known, what was meant.
func TestRefused(t *testing.T) {
	setHome(t)
	for _, tt := range []struct {
		name, text string
		want       []string // "line:col:" first
	}{
		{"syntax", "[policy]\ncommands = \n", []string{"2:12:"}},
		{"unclosed", "[policy\n", []string{"1:8:"}},
		{"no UTF-8", "a = \"\xff\"\n", []string{"1:6:"}},
		{"twice", "[policy]\ncli = \"ask\"\ncli = \"ask\"\n", []string{"3:1:", "already defined"}},
		{"unknown section", "[polciy]\n", []string{"1:2:", "unknown key polciy", "is policy meant?"}},
		{"unknown section, nothing near", "\n[database]\n", []string{"2:2:", "policy, environment, retention, http, notify, kinds"}},
		{"unknown key", "[policy]\ncomands = \"ask\"\n", []string{"2:1:", "unknown key comands in [policy]", "is commands meant?"}},
		{"HTTP without an address", "[http]\nauth = \"token\"\n", []string{"1:2:", "http.address: missing", "127.0.0.1:8080"}},
		{"HTTP open to all", "[http]\naddress = \":8080\"\nauth = \"none\"\n", []string{"1:2:", "loopback", "durablectl token"}},
		{"HTTP auth unknown", "[http]\naddress = \":8080\"\nauth = \"basic\"\n", []string{"1:2:", "want token or none"}},
		{"unknown key in a line", "kinds.k.params.p = { type = \"string\", defualt = \"x\" }\n", []string{"1:39:", "in [kinds.k.params.p]", "default"}},
		{"unknown key, nothing near", "[retention]\nyears = 3\n", []string{"2:1:", "days, max"}},
		{"bad type", "[policy]\ncommands = true\n", []string{"2:1:", "policy.commands: true or false, want a string"}},
		{"bad type in an array", "[policy]\nprograms = [\"/a\", 3]\n", []string{"2:19:", "a whole number, want a string"}},
		{"no array", "[policy]\nprograms = \"/a\"\n", []string{"2:1:", "want an array of strings"}},
		{"array of arrays", "[policy]\nprograms = [[\"/a\"]]\n", []string{"2:1:", "an array, want a string"}},
		{"no table", "policy = \"ask\"\n", []string{"1:1:", "want a table"}},
		{"array of tables", "[[kinds]]\nname = \"x\"\n", []string{"1:3:", "an array of tables, want a table"}},
		{"fraction", "[retention]\ndays = 1.5\n", []string{"2:1:", "a number with a fraction, want a whole number"}},
		{"date", param(`type = "string"`, "default = 2026-01-01"), []string{"6:1:", "a date"}},
		{"rule", "[policy]\ncommands = \"alow\"\n", []string{"2:1:", "allow, ask, list or deny", `write "allow"`}},
		{"rule of the CLI", "[policy]\ncli = \"never\"\n", []string{"2:1:", "policy.cli"}},
		{"empty rule", "[policy]\ncommands = \"\"\n", []string{"2:1:", `""`}},
		{"relative program", "[policy]\nprograms = [\n  \"/bin/ls\",\n  \"make\",\n]\n", []string{"4:3:", `"make"`, "command -v"}},
		{"relative folder", "[policy]\nfolders = [\"src\"]\n", []string{"2:12:", "absolute"}},
		{"home of another", "[policy]\nfolders = [\"~bob/src\"]\n", []string{"2:12:", "absolute"}},
		{"source", "[environment]\nsource = \"login_shell\"\n", []string{"2:1:", "login-shell or daemon", `write "login-shell"`}},
		{"relative path", "[environment]\npath = [\"bin\"]\n", []string{"2:9:"}},
		{"two in one", "[environment]\npath = [\"/a" + string(os.PathListSeparator) + "/b\"]\n", []string{"2:9:", "one folder for each"}},
		{"variable", "[environment]\nset = { \"A=B\" = \"sesame\" }\n", []string{"2:9:", "no name of a variable"}},
		{"NUL in a value", "[environment.set]\nX = \"sesame\\u0000\"\n", []string{"2:1:", "NUL"}},
		{"negative days", "[retention]\ndays = -1\n", []string{"2:1:", "0 to"}},
		{"absurd days", "[retention]\ndays = 9223372036854775807\n", []string{"2:1:", "0 to"}},
		{"size", "[retention]\nmax = \"much\"\n", []string{"2:1:", "not a size", "10GiB"}},
		{"no time", "[notify]\nafter = \"soon\"\n", []string{"2:1:", "not a time", "0s"}},
		{"time before the start", "[notify]\nafter = \"-1m\"\n", []string{"2:1:", "not a time"}},
		{"switch", "[notify]\nenabled = \"no\"\n", []string{"2:1:", "enabled"}},
		{"absurd size", "[retention]\nmax = \"99999999999999999999TB\"\n", []string{"2:1:", "not a size"}},
		{"kind's name", "[kinds.Deploy]\ndescription = \"d\"\ncommand = [\"c\"]\n", []string{"1:8:", "lower case"}},
		{"kind's long name", "[kinds." + strings.Repeat("a", 33) + "]\ndescription = \"d\"\ncommand = [\"c\"]\n", []string{"1:8:", "31 letters"}},
		{"built in", "[kinds.batch]\ndescription = \"d\"\ncommand = [\"c\"]\n", []string{"1:8:", "built in", "another name"}},
		{"no description", "[kinds.k]\ncommand = [\"c\"]\n", []string{"1:8:", "description: missing"}},
		{"no command", "[kinds.k]\ndescription = \"d\"\n", []string{"1:8:", "command: missing"}},
		{"empty command", "[kinds.k]\ndescription = \"d\"\ncommand = []\n", []string{"3:1:", "command: missing"}},
		{"relative command", "[kinds.k]\ndescription = \"d\"\ncommand = [\"./c\"]\n", []string{"3:12:", "neither absolute nor"}},
		{"program as a parameter", "[kinds.k]\ndescription = \"d\"\ncommand = [\"{p}\"]\nparams.p.type = \"path\"\n", []string{"3:12:", "the program itself"}},
		{"undeclared", "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{p}\"]\n", []string{"3:17:", "{p} is no parameter", "[kinds.k.params.p]"}},
		{"misspelt", "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{traget}\"]\nparams.target.type = \"path\"\n", []string{"3:17:", "{traget}", "write {target}"}},
		{"inside", "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"--to={p}\"]\nparams.p.type = \"path\"\n", []string{"3:17:", "stands inside the argument", "whole argument"}},
		{"unused", kind("params.p.type = \"path\""), []string{"4:8:", "not used in command"}},
		{"cwd", kind(`cwd = "src"`), []string{"4:1:", "kinds.k.cwd"}},
		{"timeout", kind(`timeout = "2 hours"`), []string{"4:1:", "not a time", "2h"}},
		{"no time", kind(`timeout = "0s"`), []string{"4:1:"}},
		{"concurrency", kind("concurrency = -1"), []string{"4:1:", "0 to"}},
		{"kind's variable", kind("env.\"1A\" = \"sesame\""), []string{"4:5:", "no name of a variable"}},
		{"parameter's name", "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{P}\"]\nparams.P.type = \"path\"\n", []string{"4:8:", "lower case"}},
		{"taken", "[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{title}\"]\nparams.title.type = \"string\"\n", []string{"4:8:", "every start has a title"}},
		{"no type", param(`description = "d"`), []string{"4:17:", "type", "string, integer"}},
		{"type", param(`type = "int"`), []string{"5:1:", "want string, integer"}},
		{"type, near", param(`type = "bolean"`), []string{"5:1:", `write "boolean"`}},
		{"default's type", param(`type = "integer"`, `default = "8"`), []string{"6:1:", "a string, want a number"}},
		{"default's fraction", param(`type = "integer"`, `default = 1.5`), []string{"6:1:", "whole number"}},
		{"default too small", param(`type = "integer"`, "default = 1", "min = 2"), []string{"6:1:", "at least 2"}},
		{"default too large", param(`type = "number"`, "default = 3", "max = 2.5"), []string{"6:1:", "at most 2.5"}},
		{"default is no number", param(`type = "number"`, "default = nan"), []string{"6:1:", "not a number"}},
		{"default too long", param(`type = "string"`, `default = "xxx"`, "max_length = 2"), []string{"6:1:", "the limit is 2"}},
		{"default is none of them", param(`type = "enum"`, `enum = ["a", "b"]`, `default = "c"`), []string{"7:1:", `"c", want a or b`}},
		{"default path", param(`type = "path"`, `default = "x"`), []string{"6:1:", "absolute"}},
		{"default boolean", param(`type = "boolean"`, `default = "yes"`), []string{"6:1:", "true or false"}},
		{"default and required", param(`type = "boolean"`, "default = true", "required = true"), []string{"6:1:", "leave required out"}},
		{"enum without values", param(`type = "enum"`), []string{"4:17:", "enum: missing"}},
		{"enum twice", param(`type = "enum"`, `enum = ["a", "a"]`), []string{"6:1:", "there twice"}},
		{"enum of a string", param(`type = "string"`, `enum = ["a"]`), []string{"6:1:", "only for the type enum"}},
		{"min of a string", param(`type = "string"`, "min = 1"), []string{"6:1:", "only for integer and number"}},
		{"max_length of a number", param(`type = "number"`, "max_length = 1"), []string{"6:1:", "only for string"}},
		{"max_length 0", param(`type = "string"`, "max_length = 0"), []string{"6:1:", "want 1 to"}},
		{"min above max", param(`type = "integer"`, "min = 2", "max = 1"), []string{"6:1:", "greater than max"}},
		{"fraction as a limit", param(`type = "integer"`, "min = 1.5"), []string{"6:1:", "whole number"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			cfg, err := config.Load(path)
			if !errors.Is(err, task.InvalidArgument) || cfg != nil {
				t.Fatalf("got %+v, %v", cfg, err)
			}
			e := task.AsError(err)
			if !strings.HasPrefix(e.Message, path+":"+tt.want[0]) {
				t.Errorf("%q does not begin with %s", e.Message, tt.want[0])
			}
			for _, want := range tt.want[1:] {
				if !strings.Contains(e.Message+"\n"+e.Hint, want) {
					t.Errorf("%q, hint %q: no %q", e.Message, e.Hint, want)
				}
			}
			if strings.Contains(e.Message+e.Hint, "sesame") {
				t.Errorf("tells a value that is secret: %s", e.Message)
			}
		})
	}
}

// TestAllProblemsAreTold: one look at the file is enough.
func TestAllProblemsAreTold(t *testing.T) {
	_, err := config.Load(write(t, "[policy]\ncli = \"no\"\ncommands = \"no\"\n[retention]\nmax = \"x\"\n"))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], ":2:1:") || !strings.Contains(lines[1], ":3:1:") || !strings.Contains(lines[2], ":5:1:") {
		t.Errorf("got\n%v", err)
	}
	var many strings.Builder
	for i := range 100 {
		many.WriteString("[x" + strings.Repeat("y", i) + "]\n")
	}
	_, err = config.Load(write(t, many.String()))
	if !strings.HasSuffix(err.Error(), "and 80 more") {
		t.Errorf("got\n%v", err)
	}
}

func TestUnreadable(t *testing.T) {
	for name, path := range map[string]string{
		"folder": t.TempDir(), "too large": write(t, strings.Repeat("#", 1<<20+1)),
	} {
		if _, err := config.Load(path); !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	sound := config.Kind{Name: "k", Description: "d", Command: []string{"c"}}
	if err := sound.Validate(); err != nil {
		t.Error(err)
	}
	err := config.Kind{Name: "k", Command: []string{"c", "{p}"}, Timeout: -1}.Validate()
	for _, want := range []string{`kind "k"`, "description: missing", "{p} is no parameter", "timeout"} {
		if !errors.Is(err, task.InvalidArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no %q", err, want)
		}
	}
}

func TestCheckOfAParametersValue(t *testing.T) {
	for _, tt := range []struct {
		param config.Param
		v     any
		ok    bool
	}{
		{config.Param{Type: config.TypeInteger}, float64(3), true},
		{config.Param{Type: config.TypeInteger}, 3.5, false},
		{config.Param{Type: config.TypeInteger}, "3", false},
		{config.Param{Type: config.TypeNumber}, nil, false},
		{config.Param{Type: config.TypeString}, "", true},
		{config.Param{Type: config.TypeString}, "a\x00", false},
		{config.Param{Type: config.TypeString}, strings.Repeat("x", config.MaxString+1), false},
		{config.Param{Type: config.TypeString, MaxLength: length(2)}, "äö", true},
		{config.Param{Type: config.TypeString}, []any{"x"}, false},
		{config.Param{Type: config.TypeBoolean}, true, true},
		{config.Param{Type: config.TypeBoolean}, "true", false},
	} {
		if err := tt.param.Check(tt.v); (err == nil) != tt.ok {
			t.Errorf("%s, %v: %v", tt.param.Type, tt.v, err)
		}
	}
}

func TestPlaceholder(t *testing.T) {
	for arg, want := range map[string]string{"{a}": "a", "{a_1}": "a_1", "{}": "", "a": "", "x{a}": "", "{a}{b}": "", "{ a }": "", "{1}": ""} {
		if got, ok := config.Placeholder(arg); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", arg, got, ok)
		}
	}
}

// FuzzLoad: no text makes it panic; what is refused has a place in the file, what is taken is sound.
func FuzzLoad(f *testing.F) {
	f.Add("[policy]\ncommands = \"ask\"\nprograms = [\"/a\", '/b']\n")
	f.Add(param(`type = "enum"`, `enum = ["a"]`, `default = "a"`))
	f.Add("a.\"b\\u0000\".c = { d = [1, [2], {x = 1}] }\n[[kinds]]\nx = 1\n[kinds.k]\n")
	f.Add("[kinds.k]\ndescription = \"d\"\ncommand = [\"c\", \"{p}\"]\nparams = { p = { type = \"integer\", min = -1e300, max = inf } }\n")
	f.Add("kinds.k.params.p.default = {}\nretention = {max = \"1e400\"}\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := write(t, text)
		cfg, err := config.Load(path)
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") || (cfg != nil) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, k := range cfg.Kinds {
			if err := k.Validate(); err != nil {
				t.Errorf("loaded, and then refused: %v", err)
			}
		}
	})
}

func TestNotifyRule(t *testing.T) {
	for _, tt := range []struct {
		text  string
		after time.Duration
		ok    bool
	}{
		{"", time.Minute, true},
		{"[notify]\n", time.Minute, true},
		{"[notify]\nenabled = true\n", time.Minute, true},
		{"[notify]\nafter = \"1h\"\n", time.Hour, true},
		{"[notify]\nafter = \"0s\"\n", 0, true},
		{"[notify]\nenabled = false\n", time.Minute, false},
	} {
		cfg, err := config.Load(write(t, tt.text))
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if after, ok := cfg.Notify.Rule(); after != tt.after || ok != tt.ok {
			t.Errorf("%q: %v, %t, want %v, %t", tt.text, after, ok, tt.after, tt.ok)
		}
	}
}
