package mcpserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

const notice = "Waiting for your approval. In a terminal: durablectl approve 1 (once), durablectl approve 1 --always, or durablectl policy allow"

var makeArgs = map[string]any{"command": []string{"make", "-j8"}, "cwd": "/src", "title": "nightly build"}

// asking is a session of a client with those capabilities, and a service that asks for approval of everything.
func asking(t *testing.T, caps string, test func(s *session, svc *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := newFake()
		svc.asks = true
		s := serve(t, svc, mcpserver.Options{})
		s.send(strings.Replace(initialize, `"capabilities":{}`, `"capabilities":`+caps, 1))
		s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		test(s, svc)
	})
}

// TestApprovalWithoutElicitation: a client that cannot ask is told what to say, at once, by every tool that starts.
func TestApprovalWithoutElicitation(t *testing.T) {
	starts := map[string]map[string]any{
		"start_command":        makeArgs,
		"start_data_migration": {"source_path": "/a", "destination_path": "/b", "mode": "replace"},
	}
	for _, caps := range []string{`{}`, `{"elicitation":{"url":{}}}`} {
		for name, args := range starts {
			t.Run(name+caps, func(t *testing.T) {
				asking(t, caps, func(s *session, _ *fake) {
					r, before := s.call(name, args)
					for _, m := range before {
						if m.Method == "elicitation/create" {
							t.Errorf("a client that cannot be asked was asked")
						}
					}
					wantWaiting(t, r)
					if r.Content[0].Text != "task://status/"+string(fakeID(1)) {
						t.Errorf("first content %q", r.Content[0].Text)
					}
				})
			})
		}
	}
}

func wantWaiting(t *testing.T, r result) {
	t.Helper()
	if r.IsError || r.Structured["next"] != "Tell the user: "+notice || !strings.Contains(r.text(), "next: Tell the user: "+notice+"\n") {
		t.Errorf("not the waiting text: %s", r.text())
	}
	for _, half := range []string{r.text(), plain(t, r.Structured)} {
		if !strings.Contains(half, "run /usr/bin/make in /src") {
			t.Errorf("a half does not say what is to be allowed: %s", half)
		}
	}
	if _, again := r.Structured["check_again_seconds"]; again {
		t.Error("the model is told to ask again by itself")
	}
}

// question returns the one request that the server has put.
func (s *session) question() message {
	s.t.Helper()
	var found []message
	for _, line := range s.said() {
		if m := parse(s.t, line); m.Method == "elicitation/create" {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%d questions, want 1", len(found))
	}
	return found[0]
}

// answers are what a person can do, and what becomes of the task.
var answers = []struct {
	name, result string
	status       task.Status
	phase        task.Phase
	always       []bool
	fact         string
}{
	{"once", `{"action":"accept","content":{"answer":"once"}}`, task.StatusPending, task.PhaseQueued, []bool{false}, "The user allowed it: once."},
	{"always", `{"action":"accept","content":{"answer":"always this program in this folder"}}`, task.StatusPending, task.PhaseQueued, []bool{true}, "The user allowed it: always this program in this folder."},
	{"no", `{"action":"accept","content":{"answer":"no"}}`, task.StatusCancelled, "", nil, "Do not start it again unless the user asks for it"},
	{"declined", `{"action":"decline"}`, task.StatusCancelled, "", nil, "The user said no."},
	{"closed", `{"action":"cancel"}`, task.StatusPending, task.PhaseAwaitingApproval, nil, notice},
	{"nonsense", `{"action":"accept","content":{"answer":"perhaps"}}`, task.StatusPending, task.PhaseAwaitingApproval, nil, notice},
}

func wantAnswered(t *testing.T, r result, svc *fake, i int) {
	t.Helper()
	want := answers[i]
	svc.mu.Lock()
	got, always := svc.tasks[0], svc.approvals
	specs := len(svc.specs)
	svc.mu.Unlock()
	if got.Status != want.status || got.Phase != want.phase || !slices.Equal(always, want.always) || specs != 1 {
		t.Errorf("task %s/%s, approvals %v, %d submits", got.Status, got.Phase, always, specs)
	}
	for _, half := range []string{r.text(), plain(t, r.Structured)} {
		if !strings.Contains(half, want.fact) {
			t.Errorf("a half does not say %q: %s", want.fact, half)
		}
	}
}

// TestElicitationLegacy: the server asks while the call is open.
func TestElicitationLegacy(t *testing.T) {
	for i, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			asking(t, `{"elicitation":{}}`, func(s *session, svc *fake) {
				s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs})
				q := s.question()
				for _, want := range []string{`nightly build`, `run /usr/bin/make in /src`, `[\"make\",\"-j8\"]`,
					`"enum":["once","always this program in this folder","no"]`} {
					if !strings.Contains(string(q.Params), want) {
						t.Errorf("the question does not say %s: %s", want, q.Params)
					}
				}
				s.in <- fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, a.result)
				r, _ := s.reply()
				// The SDK refuses an answer that does not fit the form, as if there had been none.
				wantAnswered(t, r, svc, i)
			})
		})
	}
}

// TestNobodyAnswers: no call lasts longer than 25 s; the task waits on, and the model knows for what.
func TestNobodyAnswers(t *testing.T) {
	asking(t, `{"elicitation":{"form":{}}}`, func(s *session, svc *fake) {
		begun := time.Now()
		s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs})
		s.question()
		time.Sleep(25 * time.Second)
		var r result
		var takenBack bool
		for _, line := range s.said() {
			m := parse(t, line)
			takenBack = takenBack || m.Method == "notifications/cancelled"
			if m.Result != nil {
				if err := json.Unmarshal(m.Result, &r); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantWaiting(t, r)
		if took := time.Since(begun); took > 25*time.Second || !takenBack {
			t.Errorf("answered after %s; the question was taken back: %t", took, takenBack)
		}
		if svc.tasks[0].Phase != task.PhaseAwaitingApproval {
			t.Errorf("phase %s", svc.tasks[0].Phase)
		}
	})
}

// TestApprovedElsewhere: the form stays open while the person says yes in a terminal.
func TestApprovedElsewhere(t *testing.T) {
	asking(t, `{"elicitation":{}}`, func(s *session, svc *fake) {
		s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs})
		s.question()
		if _, err := svc.Approve(t.Context(), "1", task.ApproveRequest{}, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		if r, _ := s.reply(); strings.Contains(r.text(), "Waiting for your approval") {
			t.Errorf("it waits for what it has: %s", r.text())
		}
	})
}

const modernMeta = `{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},"io.modelcontextprotocol/clientInfo":{"name":"modern","version":"2"}}`

// TestElicitationModern: the question is the result of the first round, the second brings the answer, and nothing is
// started twice.
func TestElicitationModern(t *testing.T) {
	for i, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				svc := newFake()
				svc.asks = true
				s := serve(t, svc, mcpserver.Options{})
				const call = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"start_command","arguments":{"command":["make"],"cwd":"/src"},%s"_meta":` + modernMeta + `}}`
				m := parse(t, s.send(fmt.Sprintf(call, 1, ""))[0])
				var first struct {
					ResultType, RequestState string
					InputRequests            map[string]struct {
						Method string
						Params struct{ Message string }
					}
				}
				if err := json.Unmarshal(m.Result, &first); err != nil {
					t.Fatal(err)
				}
				q := first.InputRequests["approval"]
				if first.ResultType != "input_required" || q.Method != "elicitation/create" || !strings.Contains(q.Params.Message, "run /usr/bin/make in /src") {
					t.Fatalf("first round: %s", m.Result)
				}
				round2 := fmt.Sprintf(`"requestState":%q,"inputResponses":{"approval":%s},`, first.RequestState, a.result)
				var r result
				lines := s.send(fmt.Sprintf(call, 2, round2))
				if err := json.Unmarshal(parse(t, lines[len(lines)-1]).Result, &r); err != nil {
					t.Fatal(err)
				}
				wantAnswered(t, r, svc, i)
			})
		})
	}
}

// TestQuestionTellsOfTheEnvironment: PATH or LD_PRELOAD decide what a program does as much as its name.
func TestQuestionTellsOfTheEnvironment(t *testing.T) {
	asking(t, `{"elicitation":{}}`, func(s *session, _ *fake) {
		args := map[string]any{"command": []string{"make"}, "cwd": "/src", "env": map[string]any{"TOKEN": "s3cret", "LD_PRELOAD": "/x.so"}}
		s.start("tools/call", map[string]any{"name": "start_command", "arguments": args})
		q := s.question()
		if text := string(q.Params); !strings.Contains(text, "It sets: LD_PRELOAD, TOKEN") || strings.Contains(text, "s3cret") {
			t.Error(text)
		}
		s.in <- fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{"action":"decline"}}`, q.ID)
		s.reply()
	})
}

// TestOnlyWhatWasAskedIsAnswered: the state of a client names one task in full.
func TestOnlyWhatWasAskedIsAnswered(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.asks = true
		svc.add(1)
		answer := map[string]any{"approval": map[string]any{"action": "accept", "content": map[string]any{"answer": "once"}}}
		for _, ref := range []string{"1", "@last", string(fakeID(1))[:35]} {
			s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs, "requestState": "approve:" + ref, "inputResponses": answer})
			if r, _ := s.reply(); !r.IsError || len(svc.approvals) != 0 {
				t.Errorf("%s: %s", ref, r.text())
			}
		}
	})
}

// TestSessionEndsWhileAsking: the host goes away with the form open. Nothing is left behind, and the task waits on.
func TestSessionEndsWhileAsking(t *testing.T) {
	asking(t, `{"elicitation":{}}`, func(s *session, svc *fake) {
		s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs})
		s.question()
		begun := time.Now()
		close(s.in)
		s.done <- <-s.done // the cleanup wants it too
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("the session ended after %s", took)
		}
		if svc.tasks[0].Phase != task.PhaseAwaitingApproval {
			t.Errorf("phase %s", svc.tasks[0].Phase)
		}
	})
}

// TestAnsweredTooLate: the task has ended meanwhile, or is none.
func TestAnsweredTooLate(t *testing.T) {
	bubble(t, mcpserver.Options{}, func(t *testing.T, s *session, svc *fake) {
		svc.add(1)
		svc.complete(1, 3)
		answer := map[string]any{"approval": map[string]any{"action": "accept", "content": map[string]any{"answer": "once"}}}
		for id, want := range map[string]string{string(fakeID(1)): "completed", string(fakeID(9)): "no task"} {
			s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs,
				"requestState": "approve:" + id, "inputResponses": answer})
			if r, _ := s.reply(); !strings.Contains(r.text(), want) || len(svc.specs) != 0 || len(svc.approvals) != 0 {
				t.Errorf("%s: %d submits: %s", id, len(svc.specs), r.text())
			}
		}
	})
}

// TestOlderDaemon: a daemon that has tasks, but neither approval nor input nor kinds, says so in both halves, and the
// tools that are known stay.
func TestOlderDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.asks = true
		s := serveOn(t, older{f}, f, mcpserver.Options{Kinds: func() []task.KindInfo { return []task.KindInfo{nightly} }})
		s.send(strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1))
		s.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		for range 2 {
			if s.toolNames()["start_nightly"] == nil {
				t.Error("the tool is gone")
			}
		}
		s.start("tools/call", map[string]any{"name": "start_command", "arguments": makeArgs})
		q := s.question()
		s.in <- fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"answer":"once"}}}`, q.ID)
		approved, _ := s.reply()
		f.asks = false
		s.call("start_command", map[string]any{"command": []string{"cat"}, "cwd": "/", "interactive": true})
		input, _ := s.call("send_task_input", map[string]any{"task_id": 2, "text": "x"})
		for want, r := range map[string]result{
			"That could not be done: approve: this service cannot do that": approved,
			"stdin: this service cannot do that":                           input,
		} {
			for _, half := range []string{r.text(), plain(t, r.Structured)} {
				if !strings.Contains(half, want) {
					t.Errorf("a half does not say %q: %s", want, half)
				}
			}
		}
	})
}

// older is a service without what came later.
type older struct{ *fake }

func (o older) Approve(ctx context.Context, ref task.Ref, req task.ApproveRequest, key task.Key) (task.Task, error) {
	return o.UnimplementedService.Approve(ctx, ref, req, key)
}

func (o older) Stdin(ctx context.Context, ref task.Ref, req task.StdinRequest) (task.StdinState, error) {
	return o.UnimplementedService.Stdin(ctx, ref, req)
}

func (o older) Kinds(ctx context.Context) ([]task.KindInfo, error) {
	return o.UnimplementedService.Kinds(ctx)
}

// TestCallsOutlastTheServer: what still asks the hub for something after it was closed starts nothing.
func TestCallsOutlastTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := serve(t, f, mcpserver.Options{Kinds: func() []task.KindInfo { return nil }})
		s.handshake()
		s.server.Close()
		f.mu.Lock()
		before := f.eventCalls
		f.mu.Unlock()
		s.toolNames()
		s.call("start_command", makeArgs)
		s.send(`{"jsonrpc":"2.0","id":99,"method":"resources/subscribe","params":{"uri":"task://list"}}`)
		time.Sleep(time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.eventCalls != before {
			t.Errorf("%d streams were opened", f.eventCalls-before)
		}
	})
}
