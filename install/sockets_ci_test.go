//go:build ci && linux

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// brokenDaemon is one of a later version, which can be installed, and does not start.
const brokenDaemon = `#!/bin/sh
case $1 in
--version) echo durabled version v1.2.0 ;;
schema) exec /opt/v1.0.0/durabled schema ;;
*) exit 1 ;;
esac
`

// TestCIServiceSockets: a socket that systemd holds is stopped with the service and comes back with it, and whatever an install that fails
// has touched is as it was.
func TestCIServiceSockets(t *testing.T) {
	r := newRig(t)
	r.build()
	broken := filepath.Join(t.TempDir(), "durabled")
	if err := os.WriteFile(broken, []byte(brokenDaemon), 0o755); err != nil {
		t.Fatal(err)
	}
	r.must(r.do("sh", "cp", "-r", "/opt/v1.1.0", "/opt/broken"))
	r.must(r.do("put", broken, "/opt/broken/durabled"))
	for _, user := range []string{"ben", "carl"} {
		r.must(r.do("sh", "useradd", "-m", "-s", "/bin/sh", user))
		r.must(r.do("sh", "loginctl", "enable-linger", user))
	}
	t.Run("package", func(t *testing.T) { packagedSocketStops(r.scopes(t, "system")) })
	t.Run("no longer wanted", func(t *testing.T) { droppedSocketComesBack(r.scopes(t, "ben")) })
	t.Run("detached", func(t *testing.T) { detachedDaemonComesBack(r.scopes(t, "carl")) })
}

// states wants the socket and the service to be so.
func (s *scope) states(what, socket, service string) {
	s.t.Helper()
	out := s.systemctl("show", "durable.socket", "durable.service", "--property=ActiveState", "--value")
	if got := strings.Join(strings.Fields(out), " "); got != socket+" "+service {
		s.t.Errorf("%s: the socket and the service are %s, want %s %s\n%s", what, got, socket, service, s.journal())
	}
}

// packagedSocketStops: the units of a package, as it brings them.
func packagedSocketStops(s *scope) {
	t := s.t
	s.ok("useradd", "--system", "--user-group", "--home-dir", "/var/lib/durable", "durable")
	s.must(s.do("put", "packaging/durable.socket", "/usr/lib/systemd/system/durable.socket", "644"))
	s.ok("sh", "-c", "/opt/v1.0.0/durablectl service print-unit --system --path /opt/v1.0.0/durabled >/usr/lib/systemd/system/durable.service")
	s.systemctl("daemon-reload")
	s.systemctl("enable", "durable.service")
	s.systemctl("start", "durable.socket", "durable.service")
	s.serving(0)
	if got := s.service("v1.0.0", "status"); !strings.Contains(got, "held by systemd") {
		t.Errorf("the status: %s", got)
	}
	s.service("v1.0.0", "stop")
	if _, err := s.info(); err == nil {
		t.Error("a client is answered by what was stopped")
	}
	s.states("a stop", "inactive", "inactive")
	s.service("v1.0.0", "stop")
	s.service("v1.0.0", "start")
	s.states("two stops and a start", "active", "active")
	s.service("v1.0.0", "restart")
	s.states("a restart", "active", "active")
	s.service("v1.0.0", "stop")
	s.service("v1.0.0", "restart")
	s.states("a stop and a restart", "active", "active")
	s.service("v1.0.0", "stop")
	s.must(s.do("reboot"))
	s.serving(0)
	s.states("a boot, at which the socket does not start", "inactive", "active")
	s.service("v1.0.0", "stop")
	s.service("v1.0.0", "start")
	s.states("a stop and a start without it", "inactive", "active")
	s.service("v1.0.0", "stop")
	s.systemctl("enable", "durable.socket")
	s.service("v1.0.0", "start")
	s.states("a socket that starts by itself", "active", "active")
}

// fails runs an install of the broken version.
func (s *scope) fails() {
	s.t.Helper()
	if out, err := s.run("/opt/v1.0.0/durablectl", "service", "install", "--from", "/opt/broken"); err == nil {
		s.t.Fatalf("an install whose daemon does not start: %s", out)
	} else {
		s.t.Log(err)
	}
}

func droppedSocketComesBack(s *scope) {
	s.service("v1.0.0", "install", "--socket")
	pid := s.serving(0)
	s.fails()
	s.serving(pid)
	s.states("a failed install", "active", "active")
	if got := s.systemctl("is-enabled", "durable.socket"); got != "enabled" {
		s.t.Errorf("the socket is %s", got)
	}
	s.systemctl("stop", "durable.service")
	s.states("the service alone is stopped", "active", "inactive")
	s.fails()
	s.states("a failed install over a service that was stopped", "active", "inactive")
	if out, err := s.run("/opt/v1.0.0/durablectl", "service", "upgrade", "--from", "/opt/broken"); err == nil {
		s.t.Errorf("an upgrade whose daemon does not start: %s", out)
	}
	s.states("a failed upgrade, which keeps the socket", "active", "inactive")
	if info, err := s.info(); err != nil || info.Version != "v1.0.0" {
		s.t.Errorf("what the socket starts: %s, %v", info.Version, err)
	}
}

func detachedDaemonComesBack(s *scope) {
	number := s.ok("/opt/v1.0.0/durablectl", "run", "--", "sleep", "1000")
	pid := s.serving(0)
	before := s.task(number)
	s.fails()
	s.serving(pid)
	if after := s.task(number); after.Status != before.Status || after.Attempt != before.Attempt {
		s.t.Errorf("its task is %s in attempt %d, was %s in %d", after.Status, after.Attempt, before.Status, before.Attempt)
	}
	if out, err := s.run("ls", "-A", s.home+"/.config/systemd/user"); err == nil && out != "" && out != "default.target.wants" {
		s.t.Errorf("left: %s", out)
	}
}
