package hosts_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/install/hosts"
	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// entry is what the fixtures get.
var entry = hosts.Entry{Command: "/opt/durable/bin/durable-mcp", Env: map[string]string{"DURABLE_HOME": "/home/ann/.durable"}}

// hostOf is the host whose name a fixture begins with.
func hostOf(t *testing.T, fixture string) hosts.Host {
	t.Helper()
	for _, h := range hosts.All() {
		if strings.HasPrefix(fixture, h.Name+"-") {
			return h
		}
	}
	t.Fatalf("%s: of which host is it?", fixture)
	panic("unreachable")
}

// TestFixtures adds our entry to files as real hosts have them, and takes it out again.
func TestFixtures(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/fixtures/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(fixtures) < 30 {
		t.Fatalf("%d fixtures", len(fixtures))
	}
	for _, fixture := range fixtures {
		name := filepath.Base(fixture)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hostOf(t, name)
			text := read(t, fixture)
			file := hosts.File{Path: filepath.Join(t.TempDir(), name)}
			write(t, file.Path, text)
			if strings.Contains(name, "-broken") {
				refuses(t, h, file, text)
				return
			}
			roundTrip(t, h, file, text)
		})
	}
}

// refuses: nothing is written, neither the file nor a backup.
func refuses(t *testing.T, h hosts.Host, file hosts.File, text []byte) {
	c, err := hosts.PlanAdd(h, file, entry)
	if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), file.Path) {
		t.Fatalf("add: %v; after: %s", err, c.After)
	}
	if got := read(t, file.Path); !bytes.Equal(got, text) {
		t.Errorf("the file has changed: %s", got)
	}
	if left, _ := os.ReadDir(filepath.Dir(file.Path)); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
}

func roundTrip(t *testing.T, h hosts.Host, file hosts.File, text []byte) {
	had, err := hosts.Look(h, file)
	if err != nil {
		t.Fatal(err)
	}
	added := apply(t, plan(t, h, file, &entry))
	golden(t, filepath.Join("testdata", "golden", filepath.Base(file.Path)), added)
	if again := plan(t, h, file, &entry); !again.Same() {
		t.Errorf("a second add changes it: %s", cmp.Diff(string(again.Before), string(again.After)))
	}
	got, err := hosts.Look(h, file)
	if err != nil || got == nil || got.Command != entry.Command || got.Env["DURABLE_HOME"] != entry.Env["DURABLE_HOME"] {
		t.Errorf("the entry is %v (%v)", got, err)
	}
	removed := apply(t, plan(t, h, file, nil))
	if now, err := hosts.Look(h, file); err != nil || now != nil {
		t.Errorf("after remove there is %v (%v)", now, err)
	}
	if had != nil {
		if removed == nil {
			removed = []byte("(the file held nothing else and is gone)\n")
		}
		golden(t, filepath.Join("testdata", "golden", filepath.Base(file.Path)+".removed"), removed)
		return
	}
	if now := read(t, file.Path); !bytes.Equal(now, text) {
		t.Errorf("remove after add: %s", cmp.Diff(string(text), string(now)))
	}
	withoutBackups(t, h, file, text, added)
}

// withoutBackups: what cannot be told then is whether the servers' key was there, and empty.
func withoutBackups(t *testing.T, h hosts.Host, file hosts.File, text, added []byte) {
	dir := t.TempDir()
	file.Path = filepath.Join(dir, filepath.Base(file.Path))
	write(t, file.Path, added)
	c := plan(t, h, file, nil)
	want := text
	switch name := strings.TrimSuffix(filepath.Base(file.Path), filepath.Ext(file.Path)); name {
	case "claude-desktop-empty", "claude-desktop-braces-newline", "codex-empty", "claude-desktop-braces-open":
		want = nil // as if add had made it
	case "claude-desktop-empty-servers":
		want = nil
	case "claude-desktop-blank-lines", "claude-desktop-empty-servers-open", "codex-no-final-newline":
		return // a line break more or less
	}
	if !bytes.Equal(c.After, want) || (c.After == nil) != (want == nil) {
		t.Errorf("remove without backups: %s", cmp.Diff(string(want), string(c.After)))
	}
}

func plan(t *testing.T, h hosts.Host, file hosts.File, e *hosts.Entry) hosts.Change {
	t.Helper()
	var c hosts.Change
	var err error
	if e != nil {
		c, err = hosts.PlanAdd(h, file, *e)
	} else {
		c, err = hosts.PlanRemove(h, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func apply(t *testing.T, c hosts.Change) []byte {
	t.Helper()
	if err := c.Apply(); err != nil {
		t.Fatal(err)
	}
	if c.After == nil {
		return nil
	}
	return read(t, c.File.Path)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		write(t, path, got)
	}
	if want := read(t, path); !bytes.Equal(want, got) {
		t.Errorf("%s differs (-update writes it): %s", path, cmp.Diff(string(want), string(got)))
	}
}
