package mcpserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

func TestCommandParams(t *testing.T) {
	bubble(t, mcpserver.Options{Base: "/project", Home: "/home/ann"}, func(t *testing.T, s *session, svc *fake) {
		for _, c := range []struct{ args, params, rest string }{
			{`{"command":["make","-j8"]}`, `{"command":["make","-j8"],"cwd":"/project"}`, `{"kind":"command"}`},
			{`{"command":["make | tee log"],"shell":true,"cwd":"sub"}`, `{"cwd":"/project/sub","script":"make | tee log","shell":true}`, `{"kind":"command"}`},
			{`{"command":["./run"],"cwd":"~/x","env":{"A":"b","PORT":8080,"DEBUG":true},"nice":5,"interactive":true,"shell":false}`,
				`{"command":["./run"],"cwd":"/home/ann/x","env":{"A":"b","DEBUG":"true","PORT":"8080"},"nice":5,"stdin":"open"}`, `{"kind":"command"}`},
			{`{"command":["x"],"timeout":"2h","retries":2,"restart":"never","title":"T"}`, `{"command":["x"],"cwd":"/project"}`,
				`{"kind":"command","title":"T","timeout":"2h0m0s","retry":{"max_attempts":3},"restart":"never"}`},
		} {
			var args map[string]any
			if err := json.Unmarshal([]byte(c.args), &args); err != nil {
				t.Fatal(err)
			}
			r, before := s.call("start_command", args)
			if r.IsError {
				t.Fatalf("%s: %s", c.args, r.text())
			}
			spec := svc.specs[len(svc.specs)-1]
			if got := string(spec.Params); got != c.params {
				t.Errorf("%s\n got %s\nwant %s", c.args, got, c.params)
			}
			spec.Params = nil
			if got, _ := json.Marshal(spec); string(got) != c.rest {
				t.Errorf("%s\n got %s\nwant %s", c.args, got, c.rest)
			}
			if len(before) > 0 {
				t.Errorf("%s: %+v", c.args, before)
			}
		}
	})
}

func TestCommandRefused(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		for args, want := range map[string]string{
			`{"command":["make"]}`:                                       "give an absolute path",
			`{"command":["make"],"cwd":"src"}`:                           "give an absolute path",
			`{"command":[],"cwd":"/"}`:                                   "command: empty",
			`{"command":[" "],"cwd":"/"}`:                                "command: empty",
			`{"command":"make -j8","cwd":"/"}`:                           `with shell=true one line: ["make && ./deploy"]`,
			`{"command":["a","b"],"shell":true,"cwd":"/"}`:               "with shell=true it is one line",
			`{"command":["a"],"cwd":"/","timeout":"soon"}`:               "such as 90s or 2h",
			`{"command":["a"],"cwd":"/","timeout":"-1h"}`:                "negative",
			`{"command":["a"],"cwd":"/","restart":"sometimes"}`:          "want one of on-interrupt, on-failure, always, never",
			`{"command":["a"],"cwd":"/","env":["A=b"]}`:                  "env: want an object of strings",
			`{"command":["a"],"cwd":"/","env":{"A":{"secret":"xyzzy"}}}`: "env: A: want a string, got an object",
			`{"command":["a"],"cwd":"/","nice":99}`:                      "nice: 99, want 0 to 19",
			`{"cwd":"/"}`:                                                "command: missing",
		} {
			var m map[string]any
			if err := json.Unmarshal([]byte(args), &m); err != nil {
				t.Fatal(err)
			}
			r, _ := s.call("start_command", m)
			if !r.IsError || !strings.Contains(r.text(), want) || strings.Contains(r.text(), "xyzzy") {
				t.Errorf("%s: %s", args, r.text())
			}
		}
		if len(svc.specs) != 0 {
			t.Errorf("%d were submitted", len(svc.specs))
		}
	})
}

// TestInput: what is repeated at its offset is there once; what has no offset is added.
func TestInput(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		for _, c := range []struct {
			args  map[string]any
			input string
			next  float64
			end   bool
		}{
			{map[string]any{"text": "one"}, "one\n", 4, false},
			{map[string]any{"text": "two", "newline": false, "offset": 4}, "one\ntwo", 7, false},
			{map[string]any{"text": "two", "newline": false, "offset": 4}, "one\ntwo", 7, false},
			{map[string]any{"text": ""}, "one\ntwo\n", 8, false},
			{map[string]any{"close": true}, "one\ntwo\n", 8, true},
		} {
			c.args["task_id"] = 1
			r, _ := s.call("send_task_input", c.args)
			if r.IsError || svc.input != c.input || r.Structured["next_offset"] != c.next || r.Structured["closed"] != c.end {
				t.Errorf("%v: %q, %s", c.args, svc.input, r.text())
			}
			if !strings.Contains(r.text(), fmt.Sprintf("next_offset: %v", c.next)) {
				t.Errorf("%v: %s", c.args, r.text())
			}
		}
		for want, args := range map[string]map[string]any{
			"text: missing":              {"task_id": 1},
			"the input has 8 bytes":      {"task_id": 1, "text": "x", "offset": 99},
			"no task 7":                  {"task_id": 7, "text": "x"},
			"offset: -1, want 0 or more": {"task_id": 1, "text": "x", "offset": -1},
		} {
			if r, _ := s.call("send_task_input", args); !r.IsError || !strings.Contains(r.text(), want) {
				t.Errorf("%v: %s", args, r.text())
			}
		}
	})
}

// TestInputOfACommandWithoutOne: a program that reads nothing is not said to have been sent something, also in its
// first moment, when the daemon cannot tell yet.
func TestInputOfACommandWithoutOne(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		for i, interactive := range []bool{false, true} {
			s.call("start_command", map[string]any{"command": []string{"cat"}, "cwd": "/", "interactive": interactive})
			r, _ := s.call("send_task_input", map[string]any{"task_id": i + 1, "text": "x"})
			if r.IsError == interactive || !interactive && (svc.input != "" || !strings.Contains(r.text(), "interactive=true")) {
				t.Errorf("interactive %t: %s", interactive, r.text())
			}
		}
	})
}

// TestWaitForAPerson: what time alone does not bring further is not said to go on by itself.
func TestWaitForAPerson(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		for i, phase := range []task.Phase{task.PhaseAwaitingApproval, task.PhasePaused, task.PhaseInputRequired, task.PhaseQueued} {
			svc.add(1)
			svc.change(uint64(i+1), task.EventStatus, func(t *task.Task) { t.Phase = phase })
			s.start("tools/call", map[string]any{"name": "wait_for_task", "arguments": map[string]any{"task_id": i + 1, "timeout_seconds": 1}})
			time.Sleep(2 * time.Second)
			r, _ := s.reply()
			for _, half := range []string{r.text(), plain(t, r.Structured)} {
				if strings.Contains(half, "goes on by itself") != (phase == task.PhaseQueued) {
					t.Errorf("%s: %s", phase, half)
				}
			}
		}
	})
}

// TestNextOfACommand: a program has no checkpoint unless it keeps one.
func TestNextOfACommand(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		s.call("start_command", map[string]any{"command": []string{"make"}, "cwd": "/"})
		svc.fail(1, "exit status 2", "start it again with more time: --timeout 2h")
		r, _ := s.call("get_task_status", map[string]any{"task_id": 1})
		if text := r.text(); strings.Contains(text, "checkpoint") || strings.Contains(text, "durablectl") || strings.Contains(text, "--timeout") || !strings.Contains(text, "retry_task starts it again, as a new task") {
			t.Error(text)
		}
	})
}

func TestRetryBringsSecrets(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.fail(1, "exit status 7", "")
		r, _ := s.call("retry_task", map[string]any{"task_id": 1, "env": map[string]any{"TOKEN": "s3cret"}})
		if want := []task.RetryRequest{{Env: map[string]string{"TOKEN": "s3cret"}}}; !cmp.Equal(svc.retries, want) {
			t.Errorf("%+v", svc.retries)
		}
		if all := r.text() + plain(t, r.Structured); strings.Contains(all, "s3cret") {
			t.Errorf("the secret is in the answer: %s", all)
		}
	})
}

// nightly is a user-defined kind as the daemon describes it.
var nightly = task.KindInfo{
	Name: "nightly", Title: "Nightly build", Description: "Builds a branch.", UserDefined: true,
	Schema: json.RawMessage(`{"$schema":"x","type":"object","properties":{
		"branch":{"type":"string","enum":["main","next"],"description":"What to build"},
		"jobs":{"type":"integer","minimum":1,"maximum":8,"default":4,"examples":[3]},
		"ratio":{"type":"number"}, "clean":{"type":"boolean"}, "out":{"type":"string","format":"path"}, "title":{"type":"string"}},
		"required":["branch"]}`),
}

func (s *session) toolNames() map[string]json.RawMessage {
	s.t.Helper()
	s.start("tools/list", map[string]any{})
	var list struct {
		Result struct {
			Tools []struct {
				Name, Description string
				InputSchema       json.RawMessage
			}
		}
	}
	for _, line := range s.said() {
		if m := parse(s.t, line); m.Result != nil {
			if err := json.Unmarshal([]byte(line), &list); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	names := map[string]json.RawMessage{}
	for _, tool := range list.Result.Tools {
		names[tool.Name] = tool.InputSchema
	}
	return names
}

// TestUserKinds: a kind of the configuration is a tool, with no daemon up.
func TestUserKinds(t *testing.T) {
	builtin := nightly
	builtin.Name = "command"
	odd := nightly
	odd.Name = "Odd Name"
	foreign := nightly
	foreign.Name, foreign.UserDefined = "data_migration", false
	opts := mcpserver.Options{Base: "/work", Kinds: func() []task.KindInfo { return []task.KindInfo{nightly, builtin, odd, foreign} }}
	bubble(t, opts, func(t *testing.T, s *session, svc *fake) {
		svc.kinds = opts.Kinds()
		svc.setDown(true)
		names := s.toolNames()
		const want = `{"additionalProperties":false,"properties":{"branch":{"description":"What to build","enum":["main","next"],"type":"string"},` +
			`"clean":{"type":"boolean"},"idempotency_key":{"description":"Repeating a call under the same key starts nothing twice","type":"string"},` +
			`"jobs":{"default":4,"maximum":8,"minimum":1,"type":"integer"},"out":{"type":"string"},"ratio":{"type":"number"},` +
			`"title":{"description":"For people; default: made from the arguments","type":"string"}},"required":["branch"],"type":"object"}`
		if got := string(names["start_nightly"]); got != want {
			t.Errorf("schema\n got %s\nwant %s", got, want)
		}
		if n := len(names); names["start_Odd Name"] != nil || !strings.Contains(string(names["start_command"]), "interactive") {
			t.Errorf("%d tools: a name that is taken or odd was let in", n)
		}
		svc.setDown(false)
		r, _ := s.call("start_nightly", map[string]any{"branch": "main", "jobs": 3.0, "ratio": 0.5, "clean": true, "out": "x/y", "title": "T"})
		if r.IsError || svc.specs[0].Kind != "nightly" || svc.specs[0].Title != "T" ||
			string(svc.specs[0].Params) != `{"branch":"main","clean":true,"jobs":3,"out":"/work/x/y","ratio":0.5}` {
			t.Errorf("%+v %s: %s", svc.specs[0], svc.specs[0].Params, r.text())
		}
		for want, args := range map[string]map[string]any{
			"branch: missing":                     {},
			`unknown argument "brunch"`:           {"branch": "main", "brunch": "x"},
			"jobs: want an integer, got a string": {"branch": "main", "jobs": "many"},
			"ratio: want a number, got a boolean": {"branch": "main", "ratio": true},
			"jobs: 1.5, want a whole number":      {"branch": "main", "jobs": 1.5},
			"clean: want a boolean, got a string": {"branch": "main", "clean": "yes"},
		} {
			if r, _ := s.call("start_nightly", args); !r.IsError || !strings.Contains(r.text(), want) {
				t.Errorf("%v: %s", args, r.text())
			}
		}
	})
}

// TestKindsChange: a reload of the daemon's configuration reaches a host that has listed the tools, once.
func TestKindsChange(t *testing.T) {
	opts := mcpserver.Options{Kinds: func() []task.KindInfo { return nil }}
	bubble(t, opts, func(t *testing.T, s *session, svc *fake) {
		changes := func() (n int) {
			time.Sleep(time.Second)
			for _, line := range s.said() {
				if parse(t, line).Method == "notifications/tools/list_changed" {
					n++
				}
			}
			return n
		}
		if before := s.toolNames(); before["start_nightly"] != nil {
			t.Fatal("a tool of nothing")
		}
		if n := changes(); n != 0 {
			t.Errorf("told of %d changes before any", n)
		}
		svc.setKinds(nightly)
		if n := changes(); n != 1 || s.toolNames()["start_nightly"] == nil {
			t.Errorf("told of %d changes", n)
		}
		svc.setKinds(nightly)
		if n := changes(); n != 0 {
			t.Errorf("told of %d changes when nothing changed", n)
		}
		svc.setKinds()
		if n := changes(); n != 1 || s.toolNames()["start_nightly"] != nil {
			t.Errorf("told of %d changes, or it is still there", n)
		}
	})
}

// TestStaleList: the file with the kinds is older than what the daemon tells, as it is when it could not be written. A
// host that lists again must not bring the old tools back; and a tool that the host still has says what is the matter.
func TestStaleList(t *testing.T) {
	opts := mcpserver.Options{Kinds: func() []task.KindInfo { return []task.KindInfo{nightly} }}
	bubble(t, opts, func(t *testing.T, s *session, svc *fake) {
		svc.unknown = "nightly"
		said := func(text string) {
			t.Helper()
			if !strings.Contains(text, "nightly is not in the daemon's configuration any more") || !strings.Contains(text, "do not call start_nightly again") {
				t.Error(text)
			}
		}
		r, _ := s.call("start_nightly", map[string]any{"branch": "main"})
		said(r.text())
		said(plain(t, r.Structured))
		s.toolNames() // now the daemon is asked, and the tool is gone
		s.start("tools/call", map[string]any{"name": "start_nightly", "arguments": map[string]any{"branch": "main"}})
		said(strings.Join(s.said(), ""))
		for range 3 {
			if s.toolNames()["start_nightly"] != nil {
				t.Error("the tool is back")
			}
		}
		svc.setDown(true) // nobody would tell of a change now: the file counts, until the daemon is asked again
		synctest.Wait()
		if s.toolNames()["start_nightly"] == nil {
			t.Error("the file is not read any more")
		}
	})
}

// TestKindsCostNothing: a daemon that is away is not looked for while nobody calls; the next call finds it, and with
// it what has changed.
func TestKindsCostNothing(t *testing.T) {
	opts := mcpserver.Options{Kinds: func() []task.KindInfo { return nil }}
	synctest.Test(t, func(t *testing.T) {
		svc := newFake()
		svc.setDown(true)
		s := serve(t, svc, opts)
		s.handshake()
		s.toolNames()
		svc.mu.Lock()
		tried := svc.eventCalls
		svc.mu.Unlock()
		time.Sleep(time.Hour)
		svc.mu.Lock()
		if svc.eventCalls != tried {
			t.Errorf("dialled %d times in an idle hour", svc.eventCalls-tried)
		}
		svc.mu.Unlock()
		svc.setDown(false)
		svc.setKinds(nightly)
		if r, _ := s.call("list_tasks", nil); r.IsError {
			t.Fatal(r.text())
		}
		synctest.Wait()
		if s.toolNames()["start_nightly"] == nil {
			t.Error("the kind has no tool yet")
		}
	})
}
