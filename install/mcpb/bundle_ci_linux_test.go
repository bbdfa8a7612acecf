//go:build ci

package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCIBundle: a bundle as it is released, or the one that the variable MCPB names, unpacked elsewhere: its server tells the tools of the
// manifest, and a tool call starts the daemon that lies beside it, which finishes the task.
func TestCIBundle(t *testing.T) {
	work, err := os.MkdirTemp("/tmp", "mcpb") // short: there is a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	bundle := os.Getenv("MCPB")
	if bundle == "" {
		command(t, "../..", "install/packaging/bundles", "v1.2.3", "linux_"+runtime.GOARCH)
		bundle = "../../build/mcpb/durable_1.2.3_linux_" + runtime.GOARCH + ".mcpb"
	}
	there := filepath.Join(work, "there")
	unpack(t, bundle, there)
	useBundle(t, there, filepath.Join(work, "home"))
}

// command runs a program and fails the test with what it said.
func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// unpack does what a host does with a bundle.
func unpack(t *testing.T, bundle, dir string) {
	t.Helper()
	r, err := zip.OpenReader(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, f := range r.File {
		if !filepath.IsLocal(f.Name) {
			t.Fatalf("%q leads out of the folder", f.Name)
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.Mode().Perm())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
		_, _ = from.Close(), to.Close()
	}
}

func useBundle(t *testing.T, dir, home string) {
	var m manifest
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := strings.ReplaceAll(m.Server.Config.Command, "${__dirname}", dir)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := open(ctx, program, "DURABLE_HOME="+home, "SHELL=/bin/sh", "PATH=/usr/bin:/bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.close(false)
		stop := exec.Command(filepath.Join(dir, serverDir, "durablectl"), "shutdown")
		stop.Env = append(os.Environ(), "DURABLE_HOME="+home)
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("shutdown: %v\n%s", err, out)
		}
	})
	said, err := s.introduction()
	if err != nil {
		t.Fatal(err)
	}
	if said.Version != "v"+m.Version {
		t.Errorf("the server has version %s, its bundle %s", said.Version, m.Version)
	}
	for i := range said.Tools {
		said.Tools[i].Description = firstSentence(said.Tools[i].Description)
	}
	if diff := cmp.Diff(m.Tools, said.Tools); diff != "" {
		t.Errorf("the manifest's tools are not the server's: -manifest +server\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(home, "durable.sock")); err == nil {
		t.Error("tools/list has started a daemon")
	}
	var result struct {
		IsError bool            `json:"isError"`
		Content json.RawMessage `json:"content"`
		Said    struct {
			Task struct {
				ID     string `json:"task_id"`
				Status string `json:"status"`
			} `json:"task"`
		} `json:"structuredContent"`
	}
	task := &result.Said.Task
	call := func(name string, args map[string]any) {
		t.Helper()
		if err := s.call("tools/call", map[string]any{"name": name, "arguments": args}, &result); err != nil || result.IsError {
			t.Fatalf("%s: %v\n%s", name, err, result.Content)
		}
	}
	call("start_batch_processing", map[string]any{"total_items": 20, "batch_size": 10, "processing_delay": 0.05})
	id := task.ID
	for task.Status != "completed" {
		if ctx.Err() != nil {
			t.Fatalf("task %s is %q after two minutes", id, task.Status)
		}
		call("wait_for_task", map[string]any{"task_id": id})
	}
	lock, err := os.ReadFile(filepath.Join(home, "daemon.lock"))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink("/proc/" + strings.TrimPrefix(string(lock), "pid ") + "/exe")
	if want := filepath.Join(dir, serverDir, "durabled"); err != nil || exe != want {
		t.Errorf("the daemon is %s (%v), want %s", exe, err, want)
	}
}
