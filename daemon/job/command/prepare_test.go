//go:build unix

package command_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/command"
	"durable/ipc/task"
)

// spec returns a submit with these parameters.
func spec(t *testing.T, params map[string]any) task.Spec {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	return task.Spec{Kind: command.Name, Params: raw}
}

// script writes a program below dir and returns its path.
func script(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKind(env ...string) *command.Kind {
	return command.New(command.Options{Tools: "/opt/durable/bin", Environment: environment(env)})
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "plain", "no program", 0o644)
	script(t, dir, "good", "#!/bin/sh\n", 0o755)
	script(t, dir, "lost", "#!/no/such/interpreter -x\n", 0o755)
	script(t, dir, "dos", "#!/bin/sh\r\necho\r\n", 0o755)
	ok := map[string]any{"command": []string{"good"}, "cwd": dir}
	tests := []struct {
		name   string
		change map[string]any
		want   string // a part of the message
		hint   string // a part of the hint
	}{
		{"accepted", nil, "", ""},
		{"accepted absolute", map[string]any{"command": []string{filepath.Join(dir, "good"), "-x"}}, "", ""},
		{"accepted below cwd", map[string]any{"command": []string{"./good"}}, "", ""},
		{"accepted script", map[string]any{"command": nil, "script": "true | cat", "shell": true}, "", ""},
		{"accepted line", map[string]any{"command": []string{"true | cat"}, "shell": true}, "", ""},
		{"no command", map[string]any{"command": nil}, "command: missing", "array"},
		{"empty program", map[string]any{"command": []string{" "}}, "program is empty", "array"},
		{"a string", map[string]any{"command": "make -j8"}, "command: a JSON string, want an array of strings", ""},
		{"unknown", map[string]any{"comand": 1}, `unknown parameter "comand"`, "command takes command"},
		{"not on the PATH", map[string]any{"command": []string{"no-such-program"}}, "no-such-program: no such program on the PATH", dir},
		{"a line without a shell", map[string]any{"command": []string{"make -j8"}}, "no such program", "durablectl run --shell 'LINE'"},
		{"no such file", map[string]any{"command": []string{"/no/such"}}, "/no/such: no such program", "/no/such"},
		{"not executable", map[string]any{"command": []string{"plain"}}, "plain: not executable", "chmod +x " + filepath.Join(dir, "plain")},
		{"a folder", map[string]any{"command": []string{dir}}, "a folder", "program in it"},
		{"no interpreter", map[string]any{"command": []string{"lost"}}, "interpreter /no/such/interpreter", "first line"},
		{"carriage returns", map[string]any{"command": []string{"dos"}}, "carriage return", "sed"},
		{"NUL", map[string]any{"command": []string{"good", "a\x00b"}}, "element 1 holds a NUL", ""},
		{"two lines for the shell", map[string]any{"command": []string{"a", "b"}, "shell": true}, "want one line", "leave shell out"},
		{"script without shell", map[string]any{"command": nil, "script": "a"}, "only with shell=true", ""},
		{"script and command", map[string]any{"script": "a", "shell": true}, "want one of them", ""},
		{"no cwd", map[string]any{"cwd": nil}, "cwd: missing", "absolute path"},
		{"relative cwd", map[string]any{"cwd": "src"}, "cwd: src is a relative path", "absolute path"},
		{"missing cwd", map[string]any{"cwd": filepath.Join(dir, "no")}, "no such folder", "make it"},
		{"cwd is a file", map[string]any{"cwd": filepath.Join(dir, "good")}, "not a folder", ""},
		{"env name", map[string]any{"env": map[string]string{"A-B": "hush"}}, `env: "A-B" is no name`, "letters"},
		{"env value", map[string]any{"env": map[string]string{"A": "hush\x00"}}, "the value of A holds a NUL", ""},
		{"env of the daemon", map[string]any{"env": map[string]string{"DURABLE_TASK_ID": "x"}}, "is the daemon's to set", ""},
		{"masked env", map[string]any{"env": map[string]string{"A": "***"}}, "the values of A are not there any more", "--env A="},
		{"masked command", map[string]any{"command": []string{"good", "--token=***"}}, "had a secret in it", "start it anew"},
		{"environ", map[string]any{"environ": []string{"hush"}}, "environ: element 0 is not NAME=value", ""},
		{"nice", map[string]any{"nice": 20}, "nice: 20, want 0 to 19", ""},
		{"negative nice", map[string]any{"nice": -1}, "nice: -1, want 0 to 19", ""},
		{"grace", map[string]any{"grace": "2h"}, "grace: 2h0m0s, want", ""},
		{"log_limit", map[string]any{"log_limit": 1}, "log_limit: 1, want", ""},
		{"stdin", map[string]any{"stdin": filepath.Join(dir, "no")}, "stdin: ", `"open"`},
		{"relative stdin", map[string]any{"stdin": "in.txt"}, "stdin: in.txt is a relative path", ""},
		{"stdin is a folder", map[string]any{"stdin": dir}, "a folder", "file in it"},
		{"progress", map[string]any{"progress": "("}, "progress: missing closing", "RE2"},
		{"progress without groups", map[string]any{"progress": "x"}, "names no group", "(?P<done>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := map[string]any{}
			for _, m := range []map[string]any{ok, tt.change} {
				for k, v := range m {
					if p[k] = v; v == nil {
						delete(p, k)
					}
				}
			}
			_, err := newKind("PATH="+dir+":relative").Prepare(t.Context(), spec(t, p))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *task.Error
			if !errors.As(err, &e) || !errors.Is(err, task.InvalidArgument) && !errors.Is(err, task.FailedPrecondition) {
				t.Fatalf("%v, want invalid_argument", err)
			}
			if !strings.Contains(e.Message, tt.want) || !strings.Contains(e.Hint, tt.hint) || strings.Contains(e.Message+e.Hint, "hush") {
				t.Errorf("%q, hint %q; want %q, hint %q", e.Message, e.Hint, tt.want, tt.hint)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	good := script(t, dir, "good", "#!/bin/sh\n", 0o755)
	plan, err := newKind().Prepare(t.Context(), spec(t, map[string]any{
		"command": []string{"good", "--password=hunter22", "a b"}, "cwd": dir,
		"env": map[string]string{"KEY": "hushhush"}, "environ": []string{"PATH=" + dir, "X=hushhush"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if want := "good '--password=***' 'a b'"; plan.Title != want {
		t.Errorf("title %q, want %q", plan.Title, want)
	}
	want := []task.Effect{{Act: task.ActRun, Program: good, Folder: dir}}
	if diff := cmp.Diff(want, plan.Effects); diff != "" {
		t.Error(diff)
	}
	var seen map[string]any
	if err := json.Unmarshal(plan.Params, &seen); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"command": []any{"good", "--password=***", "a b"}, "cwd": dir, "env": map[string]any{"KEY": "***"},
		"environment": "caller", "program": good, "grace": "10s", "log_limit": float64(command.DefaultLogLimit),
	}, seen); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"hunter22", "hushhush"} {
		if strings.Contains(string(plan.Params)+plan.Title, secret) || !strings.Contains(string(plan.Secrets), secret) {
			t.Errorf("%s: not where secrets are, or where they are not", secret)
		}
	}
}

func TestShellIsTheCallers(t *testing.T) {
	dir := t.TempDir()
	shell := script(t, dir, "mysh", "#!/bin/sh\n", 0o755)
	for _, tt := range []struct{ env, want string }{
		{"SHELL=" + shell, shell}, {"SHELL=/no/such", "/bin/sh"}, {"A=b", "/bin/sh"},
	} {
		plan, err := newKind(tt.env).Prepare(t.Context(), spec(t, map[string]any{"script": "echo hi", "shell": true, "cwd": dir}))
		if err != nil {
			t.Fatal(err)
		}
		if plan.Effects[0].Program != tt.want || plan.Title != "echo hi" {
			t.Errorf("%s: %+v, %q", tt.env, plan.Effects, plan.Title)
		}
	}
}

func TestTitle(t *testing.T) {
	tests := []struct {
		shell bool
		args  []string
		want  string
	}{
		{false, []string{"make", "-j8"}, "make -j8"},
		{false, []string{"/usr/bin/make", "all"}, "make all"},
		{false, []string{"echo", "it's", "", "a\nb"}, `echo 'it'\''s' '' 'a b'`},
		{false, []string{"grep", "ä", "x*"}, "grep ä 'x*'"},
		{true, []string{"cd x &&\n  make"}, "cd x && make"},
		{true, []string{"TOKEN=abc123 deploy"}, "TOKEN=*** deploy"},
		{false, []string{"echo", strings.Repeat("x", 200)}, "echo " + strings.Repeat("x", 74) + "…"},
	}
	for _, tt := range tests {
		if got := command.Title(tt.shell, tt.args...); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestMask(t *testing.T) {
	tests := []struct{ in, want []string }{
		{[]string{"x", "--password=a b"}, []string{"x", "--password=***"}},
		{[]string{"x", "--token", "abc", "rest"}, []string{"x", "--token", "***", "rest"}},
		{[]string{"x", "--api-key", "abc"}, []string{"x", "--api-key", "***"}},
		{[]string{"x", "--apikey=abc"}, []string{"x", "--apikey=***"}},
		{[]string{"x", "--token", "--other"}, []string{"x", "--token", "--other"}},
		{[]string{"env", "GITHUB_TOKEN=abc", "x"}, []string{"env", "GITHUB_TOKEN=***", "x"}},
		{[]string{"x", "client_secret=abc"}, []string{"x", "client_secret=***"}},
		{[]string{"curl", "-H", "Authorization: Bearer abc.def"}, []string{"curl", "-H", "Authorization: ***"}},
		{[]string{"curl", "-H", "X-Api-Key: abc"}, []string{"curl", "-H", "X-Api-Key: ***"}},
		{[]string{"curl", "-u", "me:pw", "https://u:p@h/x"}, []string{"curl", "-u", "me:***", "https://u:***@h/x"}},
		{[]string{"curl", "https://h/x?access_token=abc&y=1"}, []string{"curl", "https://h/x?access_token=***&y=1"}},
		{[]string{"mysql", "-psecretpw", "db"}, []string{"mysql", "-p***", "db"}},
		{[]string{"psql", "postgres://u:p@ss@h/db"}, []string{"psql", "postgres://u:***@h/db"}},
		{[]string{"bash", "deploy.sh", "--token", "abc", "live", "--password=x"}, []string{"bash", "deploy.sh", "--token", "***", "live", "--password=***"}},
		{[]string{"/bin/sh", "-ec", "./deploy \"$@\"", "deploy", "--api-key", "abc", "-v"}, []string{"/bin/sh", "-ec", "./deploy \"$@\"", "deploy", "--api-key", "***", "-v"}},
		{[]string{"sh", "-c", "PASSWORD=abc make all"}, []string{"sh", "-c", "PASSWORD=*** make all"}},
		{[]string{"sh", "-c", "PGPASSWORD=abc psql; curl -H 'Authorization: Basic abcdef='"},
			[]string{"sh", "-c", "PGPASSWORD=*** psql; curl -H 'Authorization: ***'"}},
		{[]string{"git", "clone", "https://ghp_abcdefghijklmnopqrstuvwx@github.com/a/b"}, []string{"git", "clone", "https://***@github.com/a/b"}},

		{[]string{"mkdir", "-p", "dir"}, []string{"mkdir", "-p", "dir"}},
		{[]string{"ssh", "-p", "22", "host"}, []string{"ssh", "-p", "22", "host"}},
		{[]string{"x", "--password-file=/run/pw"}, []string{"x", "--password-file=/run/pw"}},
		{[]string{"x", "--max-tokens", "100"}, []string{"x", "--max-tokens", "100"}},
		{[]string{"x", "--passive", "http://localhost:80/@scope/x"}, []string{"x", "--passive", "http://localhost:80/@scope/x"}},
		{[]string{"go", "test", "./token/..."}, []string{"go", "test", "./token/..."}},
		{[]string{"make", "-j8"}, []string{"make", "-j8"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, command.MaskArgs(tt.in...)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEnvironment(t *testing.T) {
	k := command.New(command.Options{
		Tools: "/opt/bin", Home: "/h", Socket: "/s", Environment: environment([]string{"FROM=shell", "PATH=/bin"}),
	})
	tests := []struct {
		name    string
		environ []string
		env     map[string]string
		want    []string
	}{
		{"login shell", nil, map[string]string{"A": "1"}, []string{"A=1", "DURABLE_HOME=/h", "DURABLE_SOCKET=/s", "FROM=shell", "PATH=/bin:/opt/bin"}},
		{"caller", []string{"PATH=/x:/opt/bin", "A=0", "A=1"}, map[string]string{"A": "2"}, []string{"A=2", "DURABLE_HOME=/h", "DURABLE_SOCKET=/s", "PATH=/x:/opt/bin"}},
		{"caller with none", []string{}, nil, []string{"DURABLE_HOME=/h", "DURABLE_SOCKET=/s", "PATH=/opt/bin"}},
		{"scrubbed", []string{"NOTIFY_SOCKET=1", "LISTEN_FDS=1", "LISTEN_PID=2", "INVOCATION_ID=3", "WATCHDOG_USEC=1", "DURABLE_AUTOSTART=0", "DURABLE_TASK_ID=x", "LISTENER=ok"},
			nil, []string{"DURABLE_HOME=/h", "DURABLE_SOCKET=/s", "LISTENER=ok", "PATH=/opt/bin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := k.EnvironmentOf(tt.environ, tt.env)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRevive(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "good", "#!/bin/sh\n", 0o755)
	k := newKind("PATH=" + dir)
	plan, err := k.Prepare(t.Context(), spec(t, map[string]any{
		"command": []string{"good"}, "cwd": dir, "env": map[string]string{"KEY": "v"}, "environ": []string{"PATH=" + dir},
	}))
	if err != nil {
		t.Fatal(err)
	}
	old := task.Task{Number: 7, Params: plan.Params}
	_, err = k.Revive(t.Context(), old, task.RetryRequest{})
	if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), "KEY") || task.AsError(err).Hint != "give them again: durablectl retry 7 --env KEY=..." {
		t.Errorf("without the value: %v, hint %q", err, task.AsError(err).Hint)
	}
	again, err := k.Revive(t.Context(), old, task.RetryRequest{Env: map[string]string{"KEY": "new value"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(again.Secrets), "new value") || !strings.Contains(string(again.Params), `"environment":"login-shell"`) {
		t.Errorf("%s %s", again.Params, again.Secrets)
	}
	// Who repeats it brings an environment in place of the one that is gone, but not to what never had a caller's.
	again, err = k.Revive(t.Context(), old, task.RetryRequest{
		Env: map[string]string{"KEY": "new value"}, Environ: []string{"PATH=" + dir, "VENV=of the terminal"},
	})
	if err != nil || !strings.Contains(string(again.Secrets), "VENV=of the terminal") || !strings.Contains(string(again.Params), `"environment":"caller"`) {
		t.Errorf("with a caller's: %s %s, %v", again.Params, again.Secrets, err)
	}
	if old.Params, err = json.Marshal(map[string]any{"command": []string{"good"}, "cwd": dir, "environment": "login-shell"}); err != nil {
		t.Fatal(err)
	}
	again, err = k.Revive(t.Context(), old, task.RetryRequest{Environ: []string{"VENV=of the terminal"}})
	if err != nil || strings.Contains(string(again.Secrets), "VENV") {
		t.Errorf("of the login shell's: %s, %v", again.Secrets, err)
	}
}
