package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// envServer makes the test binary an MCP server: one that answers, or fails in the way that the value names.
const envServer = "DURABLE_TEST_MCP"

func TestMain(m *testing.M) {
	if how := os.Getenv(envServer); how != "" {
		os.Exit(serve(how))
	}
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each server otherwise
	goleak.VerifyTestMain(m)
}

func serve(how string) int {
	if os.Getenv("DURABLE_HOME") == "" || os.Getenv("DURABLE_AUTOSTART") != "0" {
		return 9
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var r struct {
			ID     int
			Method string
			Params struct{ Cursor string }
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return 8
		}
		switch {
		case how == "dies":
			_, _ = fmt.Fprintln(os.Stderr, "no room")
			return 3
		case r.Method == "initialize":
			fmt.Printf(`{"jsonrpc":"2.0","method":"notifications/message"}`+"\n"+`{"jsonrpc":"2.0","id":%d,"result":{"serverInfo":{"version":"v1.2.3"}}}`+"\n", r.ID)
		case how == "refuses" && r.Method == "tools/list":
			fmt.Printf(`{"jsonrpc":"2.0","id":%d,"error":{"message":"not today"}}`+"\n", r.ID)
		case how == "empty" && r.Method == "tools/list":
			fmt.Printf(`{"jsonrpc":"2.0","id":%d,"result":{"tools":[]}}`+"\n", r.ID)
		case r.Method == "tools/list" && r.Params.Cursor == "":
			fmt.Printf(`{"jsonrpc":"2.0","id":%d,"result":{"tools":[{"name":"one","description":"Does one <thing>. And more."}],"nextCursor":"x"}}`+"\n", r.ID)
		case r.Method == "tools/list":
			fmt.Printf(`{"jsonrpc":"2.0","id":%d,"result":{"tools":[{"name":"two","description":"Does two\nmore"}]}}`+"\n", r.ID)
		}
	}
	return 0
}

func TestAsk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ how, wrong string }{
		{"answers", ""}, {"dies", "no room"}, {"refuses", "not today"}, {"empty", "no tools"},
	} {
		t.Setenv(envServer, tt.how)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		said, err := ask(ctx, self)
		cancel()
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%s: %v", tt.how, err)
			}
			continue
		}
		want := answer{"v1.2.3", []tool{{"one", "Does one <thing>. And more."}, {"two", "Does two\nmore"}}}
		if diff := cmp.Diff(want, said); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

// TestRun lays a bundle out for each platform.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(envServer, "answers")
	for goos, p := range platforms {
		t.Run(goos, func(t *testing.T) {
			dir := t.TempDir()
			programs, out := filepath.Join(dir, "bin"), filepath.Join(dir, "out")
			if err := os.Mkdir(programs, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"durable-mcp", "durabled", "durable-shim", "durablectl"} {
				if err := os.WriteFile(filepath.Join(programs, name+p.exe), []byte(name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"-programs", programs, "-os", goos, "-server", self, out}
			if err := run(t.Context(), args); err != nil {
				t.Fatal(err)
			}
			var m manifest
			text, err := os.ReadFile(filepath.Join(out, "manifest.json"))
			if err == nil {
				err = json.Unmarshal(text, &m)
			}
			if err != nil {
				t.Fatal(err)
			}
			entry := "server/durable-mcp" + p.exe
			want := server{"binary", entry, mcpConfig{"${__dirname}/" + entry, []string{}, map[string]string{}}}
			if diff := cmp.Diff(want, m.Server); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]tool{{"one", "Does one <thing>."}, {"two", "Does two"}}, m.Tools); diff != "" {
				t.Error(diff)
			}
			if m.ManifestVersion != "0.3" || m.Version != "1.2.3" || !cmp.Equal(m.Compatibility.Platforms, []string{p.name}) {
				t.Errorf("%+v", m)
			}
			programsIn, err := fs.Glob(os.DirFS(out), "server/*")
			if err != nil || len(programsIn) != 4 {
				t.Errorf("%v, %v", programsIn, err)
			}
			if err := run(t.Context(), args); err == nil {
				t.Error("laid out over one that was there")
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-os", "plan9", "x"}, {"-os", "linux"}, {"-os", "linux", "a", "b"}, {"-os", "linux", "-programs", t.TempDir(), filepath.Join(t.TempDir(), "x")}, {"-nonsense"},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
