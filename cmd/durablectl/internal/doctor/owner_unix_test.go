//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

// TestHandOver: a folder that root has made becomes the daemon's; what a link in its place leads to does not.
func TestHandOver(t *testing.T) {
	const nobody = 65534
	to := os.Geteuid() // only root can give a folder away; others give it to themselves
	if to == 0 {
		to = nobody
	}
	above, theirs := t.TempDir(), t.TempDir()
	made, link := filepath.Join(above, "made"), filepath.Join(above, "link")
	for _, err := range []error{os.Chown(above, to, -1), os.Mkdir(made, 0o700), os.Symlink(theirs, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	owner := func(path string) int {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := ownerOf(info)
		return uid
	}
	if err := handOver(made, above); err != nil || owner(made) != to {
		t.Errorf("%v; the folder belongs to %d", err, owner(made))
	}
	if err := handOver(made, above); err == nil && to != os.Geteuid() {
		t.Error("a folder that is not ours was given away")
	}
	if err := handOver(link, above); err == nil || owner(theirs) != os.Geteuid() {
		t.Errorf("by a link: %v; what it leads to belongs to %d", err, owner(theirs))
	}
}
