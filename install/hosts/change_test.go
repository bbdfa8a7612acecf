package hosts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"durable/install/hosts"
	"durable/ipc/task"
)

func find(t *testing.T, name string) hosts.Host {
	t.Helper()
	h, err := hosts.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestMissingFile: add makes the file and its folder; remove deletes it while it holds nothing else.
func TestMissingFile(t *testing.T) {
	for _, name := range []string{"claude-desktop", "vscode", "codex", "copilot-cli"} {
		h, file := find(t, name), hosts.File{Path: filepath.Join(t.TempDir(), "a", "b", "config")}
		apply(t, plan(t, h, file, &entry))
		info, err := os.Stat(file.Path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		moved := entry
		moved.Command = "/elsewhere/durable-mcp"
		apply(t, plan(t, h, file, &moved))
		apply(t, plan(t, h, file, nil))
		if _, err := os.Stat(file.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it is still there: %v", name, err)
		}
		if again := plan(t, h, file, nil); !again.Same() {
			t.Errorf("%s: to remove what is not there is to do something", name)
		}
	}
}

// TestMissingFileThatGrew: what others have written into a file that add made stays.
func TestMissingFileThatGrew(t *testing.T) {
	h, file := find(t, "cursor"), hosts.File{Path: filepath.Join(t.TempDir(), "mcp.json")}
	text := apply(t, plan(t, h, file, &entry))
	write(t, file.Path, bytes.Replace(text, []byte("{\n"), []byte("{\n  \"other\": true,\n"), 1))
	if got := string(apply(t, plan(t, h, file, nil))); got != "{\n  \"other\": true\n}\n" {
		t.Errorf("got %q", got)
	}
}

// TestEditedSince: the entry alone is cut out, whatever was written around it.
func TestEditedSince(t *testing.T) {
	h, file := find(t, "zed"), hosts.File{Path: filepath.Join(t.TempDir(), "settings.json")}
	write(t, file.Path, []byte("{\n  // mine\n  \"vim_mode\": true,\n}\n"))
	text := string(apply(t, plan(t, h, file, &entry)))
	text = strings.Replace(text, "    \"durable\"", "    // ours\n    \"a\": { \"command\": \"a\" }, // a\n    \"durable\"", 1)
	write(t, file.Path, []byte(text))
	want := "{\n  // mine\n  \"vim_mode\": true,\n  \"context_servers\": {\n    // ours\n    \"a\": { \"command\": \"a\" } // a\n  },\n}\n"
	if got := string(apply(t, plan(t, h, file, nil))); got != want {
		t.Errorf("got %s", got)
	}
}

// TestBackups: a few are kept, the last ones.
func TestBackups(t *testing.T) {
	h, file := find(t, "codex"), hosts.File{Path: filepath.Join(t.TempDir(), "config.toml")}
	write(t, file.Path, []byte("# mine\n"))
	var last []byte
	for i := range 6 {
		e := entry
		e.Command = fmt.Sprintf("/v%d/durable-mcp", i)
		last = read(t, file.Path)
		apply(t, plan(t, h, file, &e))
	}
	backups, _ := filepath.Glob(file.Path + ".durable-*.bak")
	if len(backups) != 3 {
		t.Fatalf("backups: %v", backups)
	}
	if got := read(t, backups[2]); !bytes.Equal(got, last) {
		t.Errorf("the last one holds %s", got)
	}
	if got := string(apply(t, plan(t, h, file, nil))); got != "# mine\n" {
		t.Errorf("after remove: %q", got)
	}
}

// TestHostWritesInBetween: what a host has written after the plan stays, and our entry is there too.
func TestHostWritesInBetween(t *testing.T) {
	h, file := find(t, "claude-code"), hosts.File{Path: filepath.Join(t.TempDir(), ".claude.json")}
	write(t, file.Path, []byte(`{"numStartups": 1}`))
	c := plan(t, h, file, &entry)
	write(t, file.Path, []byte(`{"numStartups": 2, "tips": {}}`))
	got := string(apply(t, c))
	if !strings.Contains(got, `"numStartups": 2, "tips": {}, "mcpServers"`) || !strings.Contains(got, entry.Command) {
		t.Errorf("got %s", got)
	}
	c = plan(t, h, file, &hosts.Entry{Command: "/x/durable-mcp"})
	write(t, file.Path, []byte(`{"half`))
	if err := c.Apply(); !errors.Is(err, task.FailedPrecondition) || string(read(t, file.Path)) != `{"half` {
		t.Errorf("a broken file: %v", err)
	}

	c = plan(t, h, hosts.File{Path: file.Path + "2"}, &entry)
	write(t, file.Path+"2", []byte(`{"made": "since"}`))
	if got := string(apply(t, c)); !strings.Contains(got, `"made": "since", "mcpServers"`) {
		t.Errorf("a file that was made since: %s", got)
	}
}

// TestVariables: DURABLE_HOME goes when it is no longer in force.
func TestVariables(t *testing.T) {
	for name, text := range map[string]string{
		"codex":  "[mcp_servers.durable]\ncommand = \"x\"\nenv = { DURABLE_HOME = \"/old\", A = \"1\" }\n",
		"cursor": "{\"mcpServers\": {\"durable\": {\"command\": \"x\", \"env\": {\"DURABLE_HOME\": \"/old\", \"A\": \"1\"}}}}",
	} {
		h, file := find(t, name), hosts.File{Path: filepath.Join(t.TempDir(), "config")}
		write(t, file.Path, []byte(text))
		got := string(apply(t, plan(t, h, file, &hosts.Entry{Command: "/new/durable-mcp"})))
		if strings.Contains(got, "DURABLE_HOME") || !strings.Contains(got, "A") || !strings.Contains(got, "/new/durable-mcp") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestNoFile: a folder in the file's place, and one that is too large.
func TestNoFile(t *testing.T) {
	h, dir := find(t, "cursor"), t.TempDir()
	if _, err := hosts.PlanAdd(h, hosts.File{Path: dir}, entry); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("a folder: %v", err)
	}
	large := filepath.Join(dir, "large")
	write(t, large, nil)
	if err := os.Truncate(large, 65<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := hosts.PlanAdd(h, hosts.File{Path: large}, entry); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("a large file: %v", err)
	}
}
