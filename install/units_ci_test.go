//go:build ci && linux

package install_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"durable/install"
)

// TestCIServiceUnitsAreRead: systemd's own reader has no complaint.
func TestCIServiceUnitsAreRead(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, `a b; $c %d {e}`)
	if err := os.WriteFile(odd, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"plain": "/bin/true", "odd": odd} {
		text, err := install.Unit(program, false, false)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".service")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) { // what it says of other units of this machine is not for us to judge
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, name+".service") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
