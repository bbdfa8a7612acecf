package mcpserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// bubble runs test in a synctest bubble, with a session that has shaken hands.
func bubble(t *testing.T, opts mcpserver.Options, test func(t *testing.T, s *session, svc *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := newFake()
		s := serve(t, svc, opts)
		s.handshake()
		test(t, s, svc)
	})
}

func TestMigrationParams(t *testing.T) {
	bubble(t, mcpserver.Options{Base: "/project", Home: "/home/ann"}, func(t *testing.T, s *session, svc *fake) {
		args := map[string]any{
			"source_path": "data/../orders.csv", "destination_path": "~/app.db", "record_count": 500.0, "mode": "append",
			"table": "orders", "columns": []string{"id", "total"}, "batch_size": 100, "on_error": "skip",
			"title": "nightly", "idempotency_key": "k1",
		}
		first, _ := s.call("start_data_migration", args)
		again, _ := s.call("start_data_migration", args)
		if first.Content[0].Text != again.Content[0].Text {
			t.Errorf("the same key started %s and %s", first.Content[0].Text, again.Content[0].Text)
		}
		want := `{"batch_size":100,"columns":["id","total"],"destination_path":"/home/ann/app.db","mode":"append",` +
			`"on_error":"skip","record_count":500,"source_path":"/project/orders.csv","table":"orders"}`
		if got := string(svc.specs[0].Params); got != want {
			t.Errorf("params\n got %s\nwant %s", got, want)
		}
		if got := svc.specs[0]; got.Kind != "data_migration" || got.Title != "nightly" {
			t.Errorf("spec %+v", got)
		}
	})
}

func TestPasswordsAreNotLogged(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		r, before := s.call("start_data_migration", map[string]any{
			"source_path": "postgres://ann:secret@db/shop", "destination_path": "/b.csv", "record_count": 3})
		all := r.text() + plain(t, r.Structured)
		for _, m := range before {
			all += string(m.Params)
		}
		if strings.Contains(all, "secret") {
			t.Errorf("the password is in: %s", all)
		}
		if !strings.Contains(string(svc.specs[0].Params), "postgres://ann:secret@db/shop") {
			t.Errorf("the daemon did not get the URL as it was: %s", svc.specs[0].Params)
		}
	})
}

func TestRefs(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(3)
		id := string(fakeID(3))
		for _, ref := range []any{3, "3", "#3", " 3 ", id, "00000003", "@last", "task://status/" + id} {
			r, _ := s.call("get_task_status", map[string]any{"task_id": ref})
			if r.IsError || r.Structured["task"].(map[string]any)["task_id"] != id {
				t.Errorf("%v: %s", ref, r.text())
			}
		}
		for _, ref := range []any{"nonsense!", "99", ""} {
			if r, _ := s.call("get_task_status", map[string]any{"task_id": ref}); !r.IsError {
				t.Errorf("%v: %s", ref, r.text())
			}
		}
	})
}

func TestCancelWaitsForTheEnd(t *testing.T) {
	id := string(fakeID(1))
	cases := map[string]struct {
		then  func(*fake)
		after time.Duration
		text  string
		error bool
	}{
		"ends in its grace": {func(f *fake) {
			f.change(1, task.EventStatus, func(t *task.Task) { t.Status = task.StatusCancelled })
		}, 9 * time.Second, "Task " + id + " cancelled. Status available at: task://status/" + id, false},
		"does not end": {func(*fake) {}, 15 * time.Second,
			"Task " + id + " is being cancelled. Status available at: task://status/" + id, false},
		"had ended already": {func(f *fake) { f.complete(1, 9) }, 0,
			"Task " + id + " not found or cannot be cancelled", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
				svc.add(1)
				svc.progress(1, 1, 10)
				s.start("tools/call", map[string]any{"name": "cancel_task", "arguments": map[string]any{"task_id": id}})
				if said := s.said(); len(said) != 0 {
					t.Errorf("an answer before the end: %q", said)
				}
				time.Sleep(c.after)
				c.then(svc)
				r, _ := s.reply()
				if r.Content[0].Text != c.text || r.IsError != c.error {
					t.Errorf("%t %q, want %q", r.IsError, r.Content[0].Text, c.text)
				}
			})
		})
	}
}

// TestNoCallIsLong: hosts cut calls off at 60 s, and ours end by themselves at 25.
func TestNoCallIsLong(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.progress(1, 1, 10)
		begun := time.Now()
		s.start("tools/call", map[string]any{"name": "wait_for_task", "arguments": map[string]any{"task_id": 1}})
		time.Sleep(25 * time.Second)
		r, _ := s.reply()
		if !strings.Contains(r.text(), "Still running") || r.IsError {
			t.Errorf("after %s: %s", time.Since(begun), r.text())
		}
	})
}

// TestWaitProgress: grows strictly, is spaced, and nothing comes after the reply.
func TestWaitProgress(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.progress(1, 10, 100)
		s.start("tools/call", map[string]any{"name": "wait_for_task", "arguments": map[string]any{"task_id": 1},
			"_meta": map[string]any{"progressToken": 7}})
		for n := range int64(20) {
			synctest.Wait()
			time.Sleep(60 * time.Millisecond)
			svc.progress(1, 20+n, 100)
		}
		time.Sleep(time.Second) // it is silent: what it said last is told
		for n := range int64(2) {
			svc.progress(1, 40+n, 100) // the first at once
			synctest.Wait()
		}
		svc.progress(1, 5, 100) // a new attempt begins further back
		svc.complete(1, 100)
		r, before := s.reply()
		if r.Structured["task"].(map[string]any)["status"] != "completed" {
			t.Fatal(r.text())
		}
		var steps []float64
		for _, m := range before {
			var p struct {
				Progress, Total float64
				ProgressToken   int
				Message         string
			}
			if err := json.Unmarshal(m.Params, &p); err != nil || p.ProgressToken != 7 || p.Total != 100 || !strings.HasPrefix(p.Message, "Migrated ") {
				t.Errorf("%s: %v", m.Params, err)
			}
			steps = append(steps, p.Progress)
		}
		if want := []float64{10, 23, 27, 31, 35, 39, 40, 100}; !cmp.Equal(steps, want) {
			t.Errorf("progress %v, want %v", steps, want)
		}
		svc.progress(1, 100, 100)
		time.Sleep(time.Minute)
		if said := s.said(); len(said) != 0 {
			t.Errorf("after the reply: %q", said)
		}
		if n := svc.open(); n != 0 {
			t.Errorf("%d event streams are still open", n)
		}
	})
}

func TestOutputPages(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(2)
		line := strings.Repeat("x", 99) + "\n"
		all := strings.Repeat(line, 1000)
		svc.logs[fakeID(1)] = all
		var got strings.Builder
		offset := 0.0
		for offset < float64(len(all)) {
			r, _ := s.call("get_task_output", map[string]any{"task_id": 1, "offset": offset})
			text := r.Structured["output"].(string)
			if len(text) == 0 || len(text) > 16<<10 || !strings.HasSuffix(text, "\n") {
				t.Fatalf("page of %d bytes at %v", len(text), offset)
			}
			got.WriteString(text)
			offset = r.Structured["next_offset"].(float64)
		}
		if got.String() != all {
			t.Error("the pages are not the log")
		}
		tail, _ := s.call("get_task_output", map[string]any{"task_id": 1, "lines": 1000})
		text := tail.Structured["output"].(string)
		if len(text) > 16<<10 || !strings.HasPrefix(text, "xx") || len(text)%100 != 0 || tail.Structured["next_offset"] != float64(len(all)) {
			t.Errorf("tail of %d bytes, next_offset %v", len(text), tail.Structured["next_offset"])
		}
		for args, want := range map[string]string{
			`{"task_id":2}`:                  "task 2 has no output yet",
			`{"task_id":1,"offset":1000000}`: "the log has 100000 bytes",
			`{"task_id":1,"lines":0}`:        "lines: 0, want 1 to 1000",
		} {
			var m map[string]any
			if err := json.Unmarshal([]byte(args), &m); err != nil {
				t.Fatal(err)
			}
			if r, _ := s.call("get_task_output", m); !r.IsError || !strings.Contains(r.text(), want) {
				t.Errorf("%s: %s", args, r.text())
			}
		}
	})
}

func TestOutputGrepAndLongLines(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		var all strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&all, "line %d\n", i)
		}
		all.WriteString(strings.Repeat("é", 20_000) + "\nend\n")
		svc.logs[fakeID(1)] = all.String()
		output := func(args map[string]any) (string, float64) {
			t.Helper()
			args["task_id"] = 1
			r, _ := s.call("get_task_output", args)
			text, ok := r.Structured["output"].(string)
			if !ok || len(text) > 16<<10 || !utf8.ValidString(text) || !strings.Contains(r.text(), text) {
				t.Fatalf("%v: %d bytes: %s", args, len(text), r.text())
			}
			return text, r.Structured["next_offset"].(float64)
		}
		if got, _ := output(map[string]any{"grep": "^line .*99$", "lines": 2}); got != "line 4899\nline 4999\n" {
			t.Errorf("last matches: %q", got)
		}
		var pages strings.Builder
		for offset := 0.0; offset < float64(all.Len()); {
			text, next := output(map[string]any{"offset": offset})
			if next <= offset {
				t.Fatalf("from %v to %v", offset, next)
			}
			pages.WriteString(text)
			offset = next
		}
		if pages.String() != all.String() {
			t.Error("the pages are not the log")
		}
		first, next := output(map[string]any{"offset": 0, "grep": "[05]$"})
		second, _ := output(map[string]any{"offset": next, "grep": "[05]$"})
		if want := "line 0\nline 5\nline 10\n"; !strings.HasPrefix(first, want) || len(strings.Split(first+second, "\n")) != 1001 {
			t.Errorf("matches: %.40q... and %.40q...", first, second)
		}
		if got, _ := output(map[string]any{"lines": 2}); got != "end\n" && !strings.HasSuffix(got, "é\nend\n") {
			t.Errorf("tail behind a long line: %.40q", got)
		}
	})
}

// TestPanic: a defect ends the call, not the process and not the session.
func TestPanic(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.panics = true
		s.start("tools/call", map[string]any{"name": "list_tasks"})
		m := parse(t, s.said()[0])
		if m.Error == nil || m.Error.Code != -32603 || !strings.Contains(m.Error.Message, "a defect") {
			t.Errorf("%+v", m)
		}
		svc.panics = false
		if r, _ := s.call("list_tasks", nil); r.IsError {
			t.Error(r.text())
		}
	})
}

func TestClientName(t *testing.T) {
	var names []string
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newFake(), mcpserver.Options{OnClient: func(n string) { names = append(names, n) }})
		s.handshake()
		s.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_tasks","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"modern"}}}}`)
	})
	if want := []string{"test 1", "modern"}; !cmp.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}

// TestBrokenOut: the host does not read any more. The session ends, and says why.
func TestBrokenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newFake(), mcpserver.Options{})
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		s.in <- []byte(initialize)
		err := <-s.done
		if err == nil || !strings.Contains(err.Error(), errBroken.Error()) {
			t.Errorf("the session ended with %v", err)
		}
		s.done <- nil
	})
}
