//go:build unix

package hosts_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"durable/install/hosts"
	"durable/ipc/task"
)

// TestLinkAndMode: a link stays one, its target keeps its mode, and so does the backup.
func TestLinkAndMode(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "dotfiles", "mcp.json"), filepath.Join(dir, ".cursor", "mcp.json")
	write(t, target, []byte("{}"))
	if err := os.Chmod(target, 0o640); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".cursor", ".keep"), nil)
	if err := os.Symlink(filepath.Join("..", "dotfiles", "mcp.json"), link); err != nil {
		t.Fatal(err)
	}
	h, file := find(t, "cursor"), hosts.File{Path: link}
	apply(t, plan(t, h, file, &entry))
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link: %v, %v", info, err)
	}
	backups, _ := filepath.Glob(link + ".durable-*.bak")
	for _, path := range append(backups, target) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if len(backups) != 1 || string(read(t, backups[0])) != "{}" {
		t.Errorf("backups: %v", backups)
	}
	apply(t, plan(t, h, file, nil))
	if got := string(read(t, target)); got != "{}" {
		t.Errorf("got %s", got)
	}

	dangling := hosts.File{Path: filepath.Join(dir, "dangling")}
	if err := os.Symlink("nowhere", dangling.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := hosts.PlanAdd(h, dangling, entry); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("a link to nowhere: %v", err)
	}
}
