//go:build ci && linux

package install_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// try is something that another user may want. What the owner can do with the same words shows that it fails for the right reason.
type try struct {
	words      []string
	ownersToDo bool
}

// strangers: another user gets nowhere, by whatever way.
func strangers(t *testing.T, r *rig, works map[string]*work) {
	for scope, w := range works {
		s := r.scopes(t, scope)
		w.s = s
		info, err := s.info()
		if err != nil {
			t.Fatal(err)
		}
		for _, try := range append(tries(s, info.Paths.State, info.Paths.Socket, info.PID, w), plants(s)...) {
			if out, err := r.do(append([]string{"user", "eve"}, try.words...)...); err == nil {
				t.Errorf("%s: another user could %s: %.200s", scope, strings.Join(try.words, " "), out)
			}
			if try.ownersToDo {
				if out, err := s.run(try.words...); err != nil {
					t.Errorf("%s: nor can the owner, so this shows nothing: %v: %.200s", scope, err, out)
				}
			}
		}
		overMCP(t, s, info.Paths.Socket)
		if s.user != "" {
			doorsOpen(t, s, info.Paths.State, info.Paths.Socket)
		}
		w.holds("what another user tried")
	}
	if out, err := r.do("sh", "sh", "-c", "ls /tmp/eve-*"); err == nil {
		t.Errorf("a daemon ran something for another user: %s", out)
	}
	members(t, r, works["system"])
}

// tries: to connect, to read, to have something run, to end it.
func tries(s *scope, state, sock string, pid int, w *work) []try {
	ctl := "/opt/v1.1.0/durablectl"
	proc := fmt.Sprintf("/proc/%d/", pid)
	mine := map[bool]string{true: "--unit=durable.service", false: "--user-unit=durable.service"}[s.user == ""]
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	return []try{
		// Connect.
		{[]string{"curl", "-fsS", "--max-time", "10", "--unix-socket", sock, "http://durable/v1/info"}, true},
		{[]string{"curl", "-fsS", "--max-time", "10", "--unix-socket", proc + "root" + sock, "http://durable/v1/info"}, false},
		{[]string{ctl, "--socket", sock, "list"}, true},
		{[]string{"env", "DURABLE_HOME=" + state, ctl, "status"}, false},
		// Read.
		{[]string{ctl, "--socket", sock, "logs", w.long.number}, true},
		{[]string{"ls", state}, true}, {[]string{"cat", state + "/store.db"}, true},
		{sh("cat " + state + "/tasks/*/*/stdout"), true}, {sh("test -n \"$(journalctl -q --no-pager " + mine + " | cat)\""), true},
		{[]string{"/opt/v1.1.0/durabled", "check", state + "/store.db"}, false},
		{[]string{"cat", proc + "environ"}, false}, {[]string{"ls", proc + "fd/"}, false}, {[]string{"ls", proc + "cwd/"}, false},
		// Have it run something.
		{[]string{ctl, "--socket", sock, "run", "--", "touch", "/tmp/eve-run"}, false},
		{[]string{"curl", "-fsS", "--max-time", "10", "--unix-socket", sock, "-d", `{"kind":"command","params":{"command":["touch","/tmp/eve-post"],"cwd":"/"}}`, "http://durable/v1/tasks"}, false},
		{[]string{ctl, "--socket", sock, "retry", w.long.number}, false},
		{[]string{"env", "DURABLE_HOME=" + state, ctl, "run", "--", "touch", "/tmp/eve-home"}, false},
		{[]string{"env", "DURABLE_HOME=" + state, "/opt/v1.1.0/durabled", "run"}, false},
		// End it.
		{sh(fmt.Sprintf("kill %d", pid)), false}, {sh(fmt.Sprintf("kill -9 %d", w.long.program)), false},
		{[]string{ctl, "--socket", sock, "cancel", w.long.number}, false}, {[]string{ctl, "--socket", sock, "shutdown"}, false},
	}
}

// plants: to leave something where the daemon, or who starts it, would find it.
func plants(s *scope) []try {
	config, units := s.home+"/.config/durable", s.home+"/.config/systemd/user"
	if s.user == "" {
		config, units = "/etc/durable", "/etc/systemd/system"
	}
	var all []try
	for _, script := range []string{
		"echo > " + s.lib + "/current/durabled", "echo > " + s.lib + "/x", "ln -sfT /tmp " + s.lib + "/current", "mv " + s.lib + " " + s.lib + "-old",
		"mkdir -p " + config + " && echo > " + config + "/config.toml", "echo >> " + units + "/durable.service", "mkdir " + units + "/durable.service.d",
		"echo > " + s.socket() + ".tmp", "rm -f " + s.socket() + " && test ! -e " + s.socket(), "echo > " + filepath.Dir(s.socket()) + "/x",
	} {
		all = append(all, try{[]string{"sh", "-c", script}, false})
	}
	return all
}

// overMCP: the program that hosts launch is another user's too, then.
func overMCP(t *testing.T, s *scope, sock string) {
	t.Helper()
	calls := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"eve","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"start_command","arguments":{"command":["touch","/tmp/eve-mcp"],"cwd":"/"}}}`
	out, err := s.do("user", "eve", "sh", "-c", "printf '%s\n' '"+calls+"' | DURABLE_SOCKET="+sock+" timeout 30 /opt/v1.1.0/durable-mcp")
	if !strings.Contains(out, "permission denied") {
		t.Errorf("over MCP another user is not refused: %s, %v", out, err)
	}
}

// doorsOpen: each lock holds alone. Whoever opens his folder, and even the socket, to all still lets nobody in.
func doorsOpen(t *testing.T, s *scope, state, sock string) {
	t.Helper()
	for _, open := range []struct {
		path string
		mode fs.FileMode
	}{{state, 0o755}, {sock, 0o666}} {
		before, err := os.Stat(s.at(open.path))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Chmod(s.at(open.path), before.Mode().Perm()) }()
		if err := os.Chmod(s.at(open.path), open.mode); err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{
			{"curl", "-fsS", "--max-time", "10", "--unix-socket", sock, "http://durable/v1/info"},
			{"/opt/v1.1.0/durablectl", "--socket", sock, "run", "--", "touch", "/tmp/eve-open"},
			{"cat", state + "/store.db"}, {"sh", "-c", "cat " + state + "/tasks/*/*/stdout"},
		} {
			if out, err := s.do(append([]string{"user", "eve"}, words...)...); err == nil {
				t.Errorf("with %s open to all, another user could %s: %.200s", open.path, strings.Join(words, " "), out)
			}
		}
	}
}

// members of the group are those who may use the machine's service.
func members(t *testing.T, r *rig, w *work) {
	t.Helper()
	r.must(r.do("sh", "usermod", "-a", "-G", "durable", "carl"))
	number := r.must(r.do("user", "carl", "/opt/v1.1.0/durablectl", "run", "--wait", "--cwd", "/", "--", "id", "-un"))
	if who := r.must(r.do("user", "carl", "/opt/v1.1.0/durablectl", "logs", number)); who != "durable" {
		t.Errorf("a member's job ran as %q", who)
	}
	w.ran(number)
	r.must(r.do("sh", "gpasswd", "-d", "carl", "durable"))
}
