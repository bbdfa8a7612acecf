package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/ipc/task"
)

// host is the SDK's own client on a durable-mcp, with what it was notified of.
type host struct {
	*mcp.ClientSession
	t       *testing.T
	updates chan string
	logs    chan string
}

func (p place) connect(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, updates: make(chan string, 1000), logs: make(chan string, 1000)}
	c := mcp.NewClient(&mcp.Implementation{Name: "story", Version: "1.0"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { h.updates <- r.Params.URI },
		//lint:ignore SA1019 deprecated in 2026-07-28; every older client still has it
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			h.logs <- fmt.Sprint(r.Params.Data.(map[string]any)["msg"])
		},
	})
	var err error
	opts := &mcp.ClientSessionOptions{}
	if h.ClientSession, err = c.Connect(t.Context(), &mcp.CommandTransport{Command: p.command("durable-mcp", "--protocol=legacy")}, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (h *host) call(name string, args map[string]any) *mcp.CallToolResult {
	h.t.Helper()
	r, err := h.CallTool(h.t.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		h.t.Fatal(err)
	}
	if r.IsError {
		h.t.Fatalf("%s: %s", name, r.Content[0].(*mcp.TextContent).Text)
	}
	return r
}

// await returns once ch has delivered want.
func (h *host) await(what string, ch chan string, want string) {
	h.t.Helper()
	deadline := time.After(patience)
	var others []string
	for {
		select {
		case got := <-ch:
			if strings.Contains(got, want) {
				return
			}
			others = append(others, got)
		case <-deadline:
			h.t.Fatalf("no %s %q, but %q", what, want, others)
		}
	}
}

// migrate starts a migration of a CSV of n rows and returns its URI.
func (h *host) migrate(dir, name string, n int) string {
	h.t.Helper()
	var csv strings.Builder
	csv.WriteString("id,name\n")
	for i := range n {
		fmt.Fprintf(&csv, "%d,row %d\n", i, i)
	}
	source := filepath.Join(dir, name+".csv")
	if err := os.WriteFile(source, []byte(csv.String()), 0o600); err != nil {
		h.t.Fatal(err)
	}
	r := h.call("start_data_migration", map[string]any{"source_path": source, "destination_path": filepath.Join(dir, name+".jsonl")})
	return r.Content[0].(*mcp.TextContent).Text
}

// TestStory: a host starts real work over MCP on a real daemon, which a tool call brings up. The daemon
// is killed under the live session: the next call and the subscriptions work, and nobody shakes hands
// again.
func TestStory(t *testing.T) {
	at, data := newPlace(t), t.TempDir()
	h := at.connect(t)
	if err := h.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "task://list"}); err != nil {
		t.Fatal(err)
	}
	first := h.migrate(data, "first", 1000)
	h.await("update of", h.updates, "task://list")
	h.await("log", h.logs, "Data migration completed: 1000 records")
	done := h.call("wait_for_task", map[string]any{"task_id": first})
	if got := done.StructuredContent.(map[string]any)["task"].(map[string]any); got["status"] != "completed" || got["progress"] != 100.0 {
		t.Fatalf("%v", got)
	}
	b, err := os.ReadFile(filepath.Join(data, "first.jsonl"))
	if err != nil || strings.Count(string(b), "\n") != 1000 {
		t.Errorf("%d lines moved, %v", strings.Count(string(b), "\n"), err)
	}
	c := at.client()
	defer func() { _ = c.Close() }()
	kept, err := c.Get(t.Context(), task.RefLast)
	if err != nil || kept.Owner.Client != "story 1.0" {
		t.Errorf("owner %+v, %v", kept.Owner, err)
	}

	at.killDaemon(t)
	for len(h.updates) > 0 {
		<-h.updates
	}
	second := h.migrate(data, "second", 10)
	h.await("update of", h.updates, "task://list")
	h.await("log", h.logs, "Data migration completed: 10 records")
	list := h.call("list_tasks", nil)
	text := list.Content[0].(*mcp.TextContent).Text
	for _, uri := range []string{first, second} {
		if !strings.Contains(text, strings.TrimPrefix(uri, "task://status/")) {
			t.Errorf("the list does not have %s:\n%s", uri, text)
		}
	}
}

// BenchmarkInitialize: from exec to the answer to initialize, and what the process holds in memory then.
// The daemon has no part in it. It is the program as it is shipped: the test binary has a daemon in it.
func BenchmarkInitialize(b *testing.B) {
	at := newPlace(b)
	if err := os.Remove(filepath.Join(at.bin, "durable-mcp")); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", at.bin+"/", ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	var took []time.Duration
	rss := 0
	for b.Loop() {
		begun := time.Now()
		p := start(b, at.command("durable-mcp"))
		p.send(initialize)
		p.next()
		took = append(took, time.Since(begun))
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err == nil {
			for line := range strings.Lines(string(status)) {
				_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &rss)
			}
		}
		p.in.Close()
		p.exit()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(rss)/1024, "MiB-rss")
}
