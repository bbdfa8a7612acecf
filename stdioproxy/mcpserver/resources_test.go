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

// TestStatusRules: what the tutorial's client takes for granted.
func TestStatusRules(t *testing.T) {
	states := map[string]func(*task.Task){
		"pending":            func(*task.Task) {},
		"no total":           func(t *task.Task) { t.Status, t.Phase, t.Progress.Done = task.StatusRunning, task.PhaseRunning, 7 },
		"retrying":           func(t *task.Task) { t.Phase, t.LastError = task.PhaseRetryWait, &task.Error{Message: "lost the disk"} },
		"failed":             func(t *task.Task) { t.Status, t.Error = task.StatusFailed, &task.Error{Message: "no such table"} },
		"failed unexplained": func(t *task.Task) { t.Status = task.StatusFailed },
		"cancelled":          func(t *task.Task) { t.Status, t.LastError = task.StatusCancelled, &task.Error{Message: "cancelled"} },
		"completed":          func(t *task.Task) { t.Status, t.Result = task.StatusCompleted, json.RawMessage(`{"success":true}`) },
	}
	for name, set := range states {
		t.Run(name, func(t *testing.T) {
			bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
				svc.add(1)
				svc.change(1, task.EventStatus, set)
				got := s.read("task://status/" + string(fakeID(1)))
				for _, key := range []string{"task_id", "status", "progress", "total", "message", "result_data", "error", "created_at", "updated_at", "completed_at"} {
					if _, ok := got[key]; !ok {
						t.Errorf("no key %s", key)
					}
				}
				if _, ok := got["progress"].(float64); !ok {
					t.Errorf("progress %v", got["progress"])
				}
				if m, ok := got["message"].(string); !ok || m == "" {
					t.Errorf("message %v", got["message"])
				}
				if text, isText := got["error"].(string); isText != (got["status"] == "failed") || isText && text == "" {
					t.Errorf("status %v with error %v", got["status"], got["error"])
				}
				if got["status"] == "completed" && got["progress"] != 100.0 {
					t.Errorf("completed at %v", got["progress"])
				}
				if name == "no total" && (got["progress"] != 0.0 || got["total"] != nil) {
					t.Errorf("progress %v of %v", got["progress"], got["total"])
				}
				if name == "retrying" && got["last_error"] != "lost the disk" {
					t.Errorf("last_error %v", got["last_error"])
				}
			})
		})
	}
}

func TestUnknownResources(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		for uri, want := range map[string]map[string]any{
			"task://status/99":        {"error": "Task not found", "task_id": "99"},
			"task://status/no, such!": {"error": "Task not found", "task_id": "no, such!"},
			"task://status/a/b":       {"error": "Task not found", "task_id": "a/b"},
			"task://log/99":           {"error": "Task not found", "task_id": "99"},
			"task://log/1":            {"text": ""},
			"task://list/dancing":     {"error": "Invalid status: dancing", "valid_statuses": []any{"pending", "running", "completed", "failed", "cancelled"}},
			"task://list/COMPLETED":   {"tasks": []any{}, "status_filter": "COMPLETED", "total": 0.0},
		} {
			if diff := cmp.Diff(want, s.read(uri)); diff != "" {
				t.Errorf("%s: -want +got\n%s", uri, diff)
			}
		}
		if got := s.read("task://status/%40last"); got["task_id"] != string(fakeID(1)) {
			t.Errorf("@last: %v", got)
		}
	})
}

// TestListKeepsTheUnfinished: a task of last night must not drop off behind 200 short ones.
func TestListKeepsTheUnfinished(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.progress(1, 1, 10) // last night's
		svc.add(250)
		for n := uint64(2); n <= 250; n++ {
			svc.complete(n, 1)
		}
		got := s.read("task://list")
		tasks := got["tasks"].([]any)
		if len(tasks) != 200 || got["total"] != 251.0 {
			t.Fatalf("%d tasks, total %v", len(tasks), got["total"])
		}
		var first []any
		for _, e := range tasks[:3] {
			first = append(first, e.(map[string]any)["number"])
		}
		if want := []any{251.0, 1.0, 250.0}; !cmp.Equal(first, want) {
			t.Errorf("the list begins with %v, want %v", first, want)
		}
		if _, ok := got["error"]; ok {
			t.Error("a list with a key error")
		}
	})
}

func TestListPrefersRunningToWaiting(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.progress(1, 1, 10)
		svc.add(300)
		tasks := s.read("task://list")["tasks"].([]any)
		if last := tasks[199].(map[string]any); len(tasks) != 200 || last["number"] != 1.0 {
			t.Errorf("%d tasks, the last is %v", len(tasks), last["number"])
		}
	})
}

func TestCompletion(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(12)
		for _, c := range []struct{ arg, value, want string }{
			{"status", "c", `{"total":2,"values":["completed","cancelled"]}`},
			{"status", "x", `{"values":[]}`},
			{"task_id", string(fakeID(3)), fmt.Sprintf(`{"total":1,"values":[%q]}`, fakeID(3))},
			{"task_id", "12", fmt.Sprintf(`{"total":1,"values":[%q]}`, fakeID(12))},
			{"other", "", `{"values":[]}`},
		} {
			s.start("completion/complete", map[string]any{
				"ref":      map[string]any{"type": "ref/resource", "uri": "task://status/{task_id}"},
				"argument": map[string]any{"name": c.arg, "value": c.value},
			})
			var got struct{ Completion json.RawMessage }
			if err := json.Unmarshal(parse(t, s.said()[0]).Result, &got); err != nil || string(got.Completion) != c.want {
				t.Errorf("%s %q: %s, want %s (%v)", c.arg, c.value, got.Completion, c.want, err)
			}
		}
	})
}

// updates counts the resources/updated in lines, by URI.
func updates(t *testing.T, lines []string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, l := range lines {
		if m := parse(t, l); m.Method == "notifications/resources/updated" {
			var p struct{ URI string }
			if err := json.Unmarshal(m.Params, &p); err != nil {
				t.Fatal(err)
			}
			got[p.URI]++
		}
	}
	return got
}

func TestSubscriptions(t *testing.T) {
	uris := []string{"task://status/1", "task://status/2", "task://log/1", "task://list", "task://list/running", "task://list/completed"}
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(2)
		if n := svc.open(); n != 0 {
			t.Fatalf("%d event streams with nobody subscribed", n)
		}
		for _, uri := range uris {
			s.start("resources/subscribe", map[string]any{"uri": uri})
		}
		s.said()
		if n := svc.open(); n != 1 {
			t.Fatalf("%d event streams, want one for all subscriptions", n)
		}
		svc.progress(1, 1, 1000)
		want := map[string]int{"task://status/1": 1, "task://log/1": 1, "task://list": 1, "task://list/running": 1}
		if got := updates(t, s.said()); !cmp.Equal(got, want) {
			t.Errorf("progress: %v, want %v", got, want)
		}
		time.Sleep(time.Second)
		svc.complete(1, 1000)
		want["task://list/completed"] = 1
		if got := updates(t, s.said()); !cmp.Equal(got, want) {
			t.Errorf("the end: %v, want %v", got, want)
		}
		for _, uri := range uris {
			s.start("resources/unsubscribe", map[string]any{"uri": uri})
		}
		s.said()
		if n := svc.open(); n != 0 {
			t.Errorf("%d event streams after the last unsubscribe", n)
		}
	})
}

// TestUpdatesAreSpaced: at most four a second, and the last change always gets through.
func TestUpdatesAreSpaced(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		s.start("resources/subscribe", map[string]any{"uri": "task://status/1"})
		s.said()
		for n := range int64(1000) {
			svc.progress(1, n, 1000)
			synctest.Wait()
			time.Sleep(2 * time.Millisecond)
		}
		got := updates(t, s.said())["task://status/1"]
		if got < 7 || got > 9 {
			t.Errorf("%d updates in 2 s, want 8", got)
		}
		time.Sleep(time.Second)
		svc.progress(1, 999, 1000)
		if got := updates(t, s.said())["task://status/1"]; got != 1 {
			t.Errorf("%d updates at once after a pause, want 1", got)
		}
		svc.complete(1, 1000) // right behind: it has to wait its turn, and must not get lost
		if got := updates(t, s.said())["task://status/1"]; got != 0 {
			t.Errorf("%d updates too early", got)
		}
		time.Sleep(300 * time.Millisecond)
		if got := updates(t, s.said())["task://status/1"]; got != 1 {
			t.Errorf("%d updates for the last change, want 1", got)
		}
		time.Sleep(time.Hour)
		if said := s.said(); len(said) != 0 {
			t.Errorf("an idle hour: %q", said)
		}
	})
}

// TestUpdatesSurviveTheDaemon: it goes, things happen, it comes back; the host does nothing.
func TestUpdatesSurviveTheDaemon(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		s.start("resources/subscribe", map[string]any{"uri": "task://status/1"})
		s.said()
		svc.progress(1, 1, 10)
		svc.setDown(true)
		time.Sleep(time.Minute)
		s.said()
		svc.complete(1, 10) // while nobody listens
		svc.setDown(false)
		// A tool call shows that the daemon is back; the stream need not wait for its next try.
		s.start("tools/call", map[string]any{"name": "list_tasks"})
		got := updates(t, s.said())
		if got["task://status/1"] == 0 {
			t.Error("no update after the daemon came back")
		}
	})
}

// TestEndIsLogged: a session that started a task hears of its end, once, and only that session.
func TestEndIsLogged(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1) // somebody else's
		s.call("start_data_migration", map[string]any{"source_path": "/a.csv", "destination_path": "/b.db"})
		s.call("start_data_migration", map[string]any{"source_path": "/a.csv", "destination_path": "/b.db"})
		if n := svc.open(); n != 1 {
			t.Errorf("%d event streams", n)
		}
		svc.complete(1, 1)
		svc.complete(2, 1000)
		svc.fail(3, "line 7: 3 fields, want 4", "")
		var logs []string
		for _, l := range s.said() {
			var p struct {
				Level string
				Data  struct{ Msg string }
			}
			if err := json.Unmarshal(parse(t, l).Params, &p); err != nil {
				t.Fatal(err)
			}
			logs = append(logs, p.Level+": "+p.Data.Msg)
		}
		want := []string{
			"info: Data migration completed: 1000 records",
			"error: Task " + string(fakeID(3)) + " failed: line 7: 3 fields, want 4",
		}
		if diff := cmp.Diff(want, logs); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if n := svc.open(); n != 0 {
			t.Errorf("%d event streams with nothing left to hear", n)
		}
	})
}

// TestHandshakeAsksNothing: it must not start a daemon, nor wait for one.
func TestHandshakeAsksNothing(t *testing.T) {
	bubble(t, mcpserver.Options{Quiet: newFake()}, func(t *testing.T, s *session, svc *fake) {
		svc.panics = true // whoever asks the service that may start a daemon panics
		for _, method := range []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list"} {
			s.start(method, map[string]any{})
		}
		s.start("resources/subscribe", map[string]any{"uri": "task://list"})
		s.start("completion/complete", map[string]any{
			"ref":      map[string]any{"type": "ref/resource", "uri": "task://status/{task_id}"},
			"argument": map[string]any{"name": "task_id", "value": ""},
		})
		for _, l := range s.said() {
			if strings.Contains(l, "a defect") {
				t.Error(l)
			}
		}
	})
}
