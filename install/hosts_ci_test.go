//go:build ci && linux

package install_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"durable/ipc/task"
)

// pace is that of the requests: 100 a second.
const pace = 10 * time.Millisecond

// load asks the daemon at a pace, without ever asking twice.
type load struct {
	s                      *scope
	client                 *http.Client
	sent, accepted, failed atomic.Int64
	worst                  atomic.Int64
}

// one is a submit, or a question.
func (l *load) one(i int) {
	began := time.Now()
	var resp *http.Response
	var err error
	submits := i%2 == 0
	if submits {
		resp, err = l.client.Post("http://durable/v1/tasks", "application/json", strings.NewReader(`{"kind":"noop","params":{}}`))
	} else {
		resp, err = l.client.Get("http://durable/v1/tasks?limit=5")
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	l.sent.Add(1)
	switch {
	case err != nil || resp.StatusCode >= 300:
		l.failed.Add(1)
		l.s.t.Errorf("request %d: %v, %v", i, resp, err)
	case submits:
		l.accepted.Add(1)
	}
	for took := int64(time.Since(began)); ; {
		if worst := l.worst.Load(); took <= worst || l.worst.CompareAndSwap(worst, took) {
			return
		}
	}
}

// run asks until stop is closed. A tick that was missed is made up for: the pace is that of the clock.
func (l *load) run(stop <-chan struct{}) {
	var group sync.WaitGroup
	defer group.Wait()
	began := time.Now()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
			for ; time.Duration(i)*pace < time.Since(began); i++ {
				group.Go(func() { l.one(i) })
			}
		}
	}
}

// underLoad: where systemd holds the socket, a restart loses no request, though nobody tries again.
func underLoad(s *scope) {
	t := s.t
	s.service("v1.0.0", "install", "--socket")
	l := &load{s: s, client: s.dial(s.socket())}
	stop, done := make(chan struct{}), make(chan struct{})
	pid := s.serving(0)
	began := time.Now()
	go func() {
		defer close(done)
		l.run(stop)
	}()
	for n := range int64(3) {
		s.until("requests", func() bool { return l.sent.Load() >= 100*(n+1) })
		s.systemctl("restart", "durable.service")
		pid = s.serving(pid)
	}
	s.until("requests", func() bool { return l.sent.Load() >= 400 })
	rate := float64(l.sent.Load()) / time.Since(began).Seconds()
	close(stop)
	<-done
	t.Logf("%d requests through 3 restarts, %.0f a second, %d failed, the slowest took %s", l.sent.Load(), rate, l.failed.Load(),
		time.Duration(l.worst.Load()).Round(time.Millisecond))
	if rate < 90 {
		t.Errorf("%.0f requests a second were no load of 100", rate)
	}
	var list task.TaskList
	if err := s.get("/v1/tasks?limit=1", &list); err != nil || list.Total == nil || int64(*list.Total) != l.accepted.Load() {
		t.Errorf("%d submits were accepted, the store has %v, %v", l.accepted.Load(), list.Total, err)
	}
	s.service("v1.0.0", "uninstall", "--purge", "--yes")
}

// hostCalls are what a host says to durable-mcp.
const hostCalls = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"host","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"start_command","arguments":{"command":["sleep","54321"],"cwd":"/"}}}
`

// hostDies: a desktop starts a host in a scope of its own, as desktops do; the host launches durable-mcp, whose call starts the daemon;
// then the whole scope is killed.
func hostDies(s *scope) {
	t := s.t
	ctl := "/opt/v1.0.0/durablectl"
	s.lib = "/opt/v1.0.0"                                                                                                       // nothing is installed
	s.ok("sh", "-c", "mkdir -p ~/.config/durable && printf '[policy]\ncommands = \"allow\"\n' > ~/.config/durable/config.toml") // nobody is there to be asked
	if err := os.WriteFile(s.at("/opt/calls"), []byte(hostCalls), 0o644); err != nil {
		t.Fatal(err)
	}
	host := "(cat /opt/calls; exec sleep 1000) | /opt/v1.0.0/durable-mcp > /dev/null"
	s.must(s.do("sh", "systemd-run", "--quiet", "--collect", "--unit=desktop", "--uid="+s.user, "--property=PAMName=login",
		"systemd-run", "--user", "--scope", "--quiet", "--collect", "--unit=app-host", "sh", "-c", host))
	program := ""
	s.until("the daemon runs the command", func() bool { // that the task runs is said before its program is there
		info, err := s.info()
		if err == nil && info.Counts[task.StatusRunning] == 1 {
			program, err = s.run("pgrep", "-x", "-f", "sleep 54321")
		}
		return err == nil && program != ""
	})
	info, err := s.info()
	if err != nil {
		t.Fatal(err)
	}
	inScope := func(pid string) bool {
		b, err := os.ReadFile(s.at("/proc/" + pid + "/cgroup"))
		return err == nil && strings.Contains(string(b), "app-host.scope")
	}
	mcp := s.ok("pgrep", "-x", "-u", s.user, "durable-mcp")
	if !inScope(mcp) || inScope(program) || inScope(fmt.Sprint(info.PID)) {
		t.Errorf("in the host's scope: durable-mcp %t, the daemon %t, the command %t", inScope(mcp), inScope(fmt.Sprint(info.PID)), inScope(program))
	}
	s.systemctl("kill", "--signal=KILL", "app-host.scope")
	s.until("the scope is gone", func() bool {
		out, _ := s.run("systemctl", "--user", "is-active", "app-host.scope")
		return out != "active"
	})
	if out, err := s.run("pgrep", "-a", "-u", s.user, "durable-mcp"); err == nil {
		t.Errorf("not all of the host was killed: %s", out)
	}
	afterHost(s, ctl, info, program)
}

// afterHost: the daemon and the command are those that they were. What is installed is what is started from then on.
func afterHost(s *scope, ctl string, before task.Info, program string) {
	t := s.t
	if info, err := s.info(); err != nil || info.PID != before.PID || !info.StartedAt.Equal(before.StartedAt) {
		t.Errorf("the daemon was process %d and is %d, %v", before.PID, info.PID, err)
	}
	lives := func(when string) {
		t.Helper()
		got := s.task("1")
		if now, err := s.run("pgrep", "-x", "-f", "sleep 54321"); err != nil || now != program || got.Status != task.StatusRunning || got.Attempt != 1 {
			t.Errorf("%s: the command was process %s and is %q, %v; %s in attempt %d", when, program, now, err, got.Status, got.Attempt)
		}
	}
	lives("after the host's death")
	if first, _, _ := strings.Cut(s.ok(ctl, "status"), "\n"); !strings.Contains(first, "until reboot: durablectl service install") {
		t.Errorf("the first line of status: %s", first)
	}
	// The one that runs leaves to the service.
	s.ok(ctl, "service", "install")
	s.systemctl("stop", "durable.service") // not by durablectl: no mark
	s.ok(ctl, "run", "--wait", "--cwd", "/", "--", "true")
	if got := s.systemctl("is-active", "durable.service"); got != "active" {
		t.Errorf("the installed service is %s", got)
	}
	lives("under the service")
	s.ok(ctl, "service", "uninstall", "--purge", "--yes")
}
