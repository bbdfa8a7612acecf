//go:build unix

// launchctl is a script here.

package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"durable/ipc/socket"
)

// launchctl knows the service for as long as there is a file loaded, and after a bootout for as many questions more as the file patience
// has lines. Meanwhile nothing can be loaded.
const launchctl = `#!/bin/sh
cd "$(dirname "$0")" || exit 99
echo "$1" >>did
case $1 in
print)
  if [ -e patience ]; then
    sed -i.bak 1d patience
    [ -s patience ] || rm -f patience loaded
  fi
  [ -e loaded ] || exit 113 ;;
bootout)
  [ -e stubborn ] && exit 1
  printf '1\n2\n3\n' >patience
  exit "$(cat status)" ;;
bootstrap)
  [ -e loaded ] && exit 5
  : >loaded ;;
esac
`

func newLaunchd(t *testing.T) (m *launchd, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"launchctl": launchctl, "loaded": "", "status": "0", "durable.plist": mark} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o750); err != nil {
		t.Fatal(err)
	}
	s := &Service{opts: Options{System: true}, paths: socket.Paths{Socket: filepath.Join(run, "durable.sock")}}
	return &launchd{s, filepath.Join(dir, "durable.plist")}, dir
}

// did are the words that launchctl was told, without those that follow the same.
func did(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "did"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Compact(strings.Fields(string(b)))
}

// TestLaunchdWaits: bootout returns before the daemon has left, with or without a word about it.
func TestLaunchdWaits(t *testing.T) {
	for _, status := range []string{"0", "36"} {
		m, dir := newLaunchd(t)
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte(status), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := m.restart(t.Context()); err != nil {
			t.Errorf("status %s: %v", status, err)
		}
		if got, want := did(t, dir), []string{"print", "bootout", "print", "bootstrap"}; !slices.Equal(got, want) {
			t.Errorf("status %s: did %q, want %q", status, got, want)
		}
		if err := m.unregister(t.Context()); err != nil {
			t.Errorf("status %s: %v", status, err)
		}
		for _, path := range []string{m.path, filepath.Dir(m.s.paths.Socket), filepath.Join(dir, "loaded")} {
			if exists(path) {
				t.Errorf("status %s: %s is still there", status, path)
			}
		}
	}
}

// TestLaunchdRefuses: a service that launchd does not let go keeps its registration.
func TestLaunchdRefuses(t *testing.T) {
	m, dir := newLaunchd(t)
	if err := os.WriteFile(filepath.Join(dir, "stubborn"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.unregister(t.Context()); err == nil || !exists(m.path) {
		t.Errorf("%v; registered %t", err, exists(m.path))
	}
	if err := m.start(t.Context()); err != nil || !slices.Contains(did(t, dir), "kickstart") {
		t.Errorf("%v; did %q", err, did(t, dir))
	}
}
