package mcpserver

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"durable/ipc/task"
)

func TestParseArgs(t *testing.T) {
	args := []arg{
		{name: "path", typ: argString, required: true, desc: "a path"},
		{name: "mode", typ: argString, enum: []string{"a", "b"}},
		{name: "count", typ: argInteger, min: 1, max: 10},
		{name: "any", typ: argInteger, min: -5},
		{name: "flag", typ: argBoolean},
		{name: "list", typ: argStrings},
	}
	for _, c := range []struct{ in, want string }{
		{`{"path":"x"}`, ""},
		{`{"path":"x","mode":null,"count":10.0,"any":-5,"flag":false,"list":[]}`, ""},
		{`{}`, "path: missing"},
		{``, "path: missing"},
		{`null`, "path: missing"},
		{`{"path":" "}`, "path: empty"},
		{`{"path":null}`, "path: missing"},
		{`{"path":1}`, "path: want a string, got a number"},
		{`{"path":{}}`, "path: want a string, got an object"},
		{`{"path":"x","mode":"c"}`, `mode: "c", want one of a, b`},
		{`{"path":"x","count":0}`, "count: 0, want 1 to 10"},
		{`{"path":"x","count":11}`, "count: 11, want 1 to 10"},
		{`{"path":"x","count":1.5}`, "count: 1.5, want a whole number"},
		{`{"path":"x","count":1e999}`, "count: 1e999, want a whole number"},
		{`{"path":"x","count":99999999999999999999}`, "count: 99999999999999999999, want a whole number"},
		{`{"path":"x","count":"5"}`, "count: want an integer, got a string"},
		{`{"path":"x","any":-6}`, "any: -6, want -5 or more"},
		{`{"path":"x","flag":"true"}`, "flag: want a boolean, got a string"},
		{`{"path":"x","list":"a"}`, "list: want an array of strings, got a string"},
		{`{"path":"x","list":["a",1]}`, "list: item 2: want a string, got a number"},
		{`{"path":"x","paht":1}`, `unknown argument "paht"`},
		{`[1]`, "arguments: want an object of named arguments"},
		{`"x"`, "arguments: want an object of named arguments"},
	} {
		_, err := parseArgs(json.RawMessage(c.in), args)
		if got := errText(err); got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
		if err != nil && !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%s: %v", c.in, task.AsError(err).Code)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseArgs(f *testing.F) {
	for _, s := range []string{`{"source_path":"a","record_count":1}`, `{"columns":["a"]}`, `[]`, `{"a":`, `{"record_count":1e9}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := parseArgs(raw, migrationArgs)
		if (v == nil) == (err == nil) {
			t.Fatalf("%q: %v and %v", raw, v, err)
		}
		for name := range v {
			if !strings.Contains(names(migrationArgs), name) {
				t.Fatalf("%q let %q through", raw, name)
			}
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":"\u0000id:5","method":"x","params":{}}`,
		`{"jsonrpc":"2.0","id":1.50,"method":"x"}`, `{"jsonrpc":"2.0","id":-0,"method":"x"}`, `{"id":1,"result":{}}`, `[]`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, bad := parseMessage(data)
		if bad != nil {
			if !json.Valid(bad.reply()) {
				t.Fatalf("%q is answered with %q", data, bad.reply())
			}
			return
		}
		req, ok := msg.(*jsonrpc.Request)
		if !ok || !req.ID.IsValid() {
			return
		}
		// The id comes back with the value that it had.
		var in struct{ ID json.RawMessage }
		m := map[string]json.RawMessage{}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		in.ID = m["id"]
		out := formatID(req.ID)
		if in.ID[0] != '"' {
			if string(in.ID) != string(out) {
				t.Fatalf("id %s came back as %s", in.ID, out)
			}
			return
		}
		var a, b string
		if json.Unmarshal(in.ID, &a) != nil || json.Unmarshal(out, &b) != nil || a != b {
			t.Fatalf("id %s came back as %s", in.ID, out)
		}
	})
}

func TestResolvePath(t *testing.T) {
	s := &Server{opts: Options{Base: "/project", Home: "/home/ann"}}
	for in, want := range map[string]string{
		"/a/b.csv": "/a/b.csv", "/a/../b": "/b", "b.csv": "/project/b.csv", "../b.csv": "/b.csv", "~": "/home/ann",
		"~/b.csv": "/home/ann/b.csv", "~ann/b": "/project/~ann/b", "postgres://u@h/db": "postgres://u@h/db",
	} {
		if got, err := s.resolvePath("p", in); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	s.opts = Options{}
	for _, in := range []string{"b.csv", "~/b.csv", "."} {
		if got, err := s.resolvePath("source_path", in); !errors.Is(err, task.InvalidArgument) || task.AsError(err).Hint != "give an absolute path" {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func TestAdvise(t *testing.T) {
	running := func(eta time.Duration) task.Task {
		d := task.Duration(eta)
		return task.Task{Status: task.StatusRunning, Phase: task.PhaseRunning, Progress: task.Progress{Done: 34, Total: task.Total(100), ETA: &d}}
	}
	for _, c := range []struct {
		t     task.Task
		next  string
		check time.Duration
	}{
		{running(3 * time.Hour), "Running, 34 %, about 3 h left. Tell the user; do not poll. Ask again in about 1 h, or when the user asks.", time.Hour},
		{running(time.Second), "Running, 34 %, about 1 s left. Tell the user; do not poll. Ask again in about 30 s, or when the user asks.", 30 * time.Second},
		{running(5 * time.Minute), "Running, 34 %, about 5 min left. Tell the user; do not poll. Ask again in about 5 min, or when the user asks.", 5 * time.Minute},
		{running(1000 * time.Hour), "Running, 34 %, about 42 days left. Tell the user; do not poll. Ask again in about 6 h, or when the user asks.", 6 * time.Hour},
		{task.Task{Status: task.StatusPending, Phase: task.PhaseQueued}, "Accepted: it starts as soon as a slot is free. Tell the user; do not poll. Ask again in about 1 min, or when the user asks.", time.Minute},
		{task.Task{Number: 7, Status: task.StatusPending, Phase: task.PhasePaused, Reason: task.ReasonCrashLoop}, "Paused (crash_loop). resume_task lets it go on, when the user wants that; in a terminal: durablectl resume 7.", 0},
		{task.Task{Number: 42, Status: task.StatusPending, Phase: task.PhaseAwaitingApproval}, "Tell the user: Waiting for your approval. In a terminal: durablectl approve 42 (once), durablectl approve 42 --always, or durablectl policy allow", 0},
		{task.Task{Kind: "command", Status: task.StatusCompleted}, "Completed: the program ended with exit code 0. get_task_output shows what it wrote. Tell the user.", 0},
		{task.Task{Status: task.StatusCompleted}, "Completed. Tell the user; there is nothing left to wait for.", 0},
	} {
		if got := advise(c.t); got.Next != c.next || got.CheckAgain != c.check {
			t.Errorf("got  %q %s\nwant %q %s", got.Next, got.CheckAgain, c.next, c.check)
		}
	}
}

// TestPhrases: every phase has words.
func TestPhrases(t *testing.T) {
	for status, phases := range task.Phases {
		for _, p := range phases {
			if p != task.PhaseNone && phrases[p] == "" {
				t.Errorf("%s/%s", status, p)
			}
		}
	}
}

func TestToolHint(t *testing.T) {
	for hint, want := range map[string]string{
		"": "",
		"durablectl list shows the tasks there are":                         "list_tasks shows the tasks there are",
		"durablectl status 7":                                               "get_task_status 7",
		"durablectl cancel 7; durablectl retry goes on from its checkpoint": "cancel_task 7; retry_task goes on from its checkpoint",
		"durablectl resume 7 or durablectl stdin 7":                         "resume_task 7 or send_task_input 7",
		"its log has the stack: durablectl logs 12":                         "its log has the stack: get_task_output 12",
		"durablectl status shows whether it is back":                        "durablectl status shows whether it is back",
		"start it: durablectl restart, or durabled run":                     "start it: durablectl restart, or durabled run",
		"each argument is a word of its own; a line for the shell: durablectl run --shell 'LINE'": "each argument is a word of its own; a line for " +
			"the shell is the only element of command, with shell=true",
	} {
		if got := toolHint(hint); got != want {
			t.Errorf("toolHint(%q) = %q, want %q", hint, got, want)
		}
	}
}

// TestPhrasesAreSaid: what is replaced for a model is what the daemon says. A phrase that it does not say any more would leave a
// model with another that nobody replaces.
func TestPhrasesAreSaid(t *testing.T) {
	var said strings.Builder
	err := filepath.WalkDir("../../daemon", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		said.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(terminalPhrases); i += 2 {
		if !strings.Contains(said.String(), terminalPhrases[i]) {
			t.Errorf("no hint of the daemon says %q", terminalPhrases[i])
		}
	}
}
