//go:build ci && linux

package install_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"durable/ipc/task"
)

// rows of the migration, and its speed: it must not be done before all has happened to it.
const (
	rows     = 60_000
	rowsRate = "2000"
)

// work is what runs while things happen to the daemon.
type work struct {
	first, long, copying string // numbers
}

// TestCIService: a real systemd, the machine's service and a user's beside each other, through all that happens to services.
func TestCIService(t *testing.T) {
	r := newRig(t)
	r.build()
	for _, user := range []string{"anna", "ben", "carl", "eve"} {
		r.must(r.do("sh", "useradd", "-m", "-s", "/bin/sh", user))
		if user != "eve" {
			r.must(r.do("sh", "loginctl", "enable-linger", user))
		}
	}
	r.must(r.do("sh", "sh", "-c", fmt.Sprintf("(echo id,name; seq 1 %d | sed 's/$/,row/') > /opt/rows.csv", rows)))
	works := map[string]*work{"system": {}, "anna": {}}
	each := func(name string, f func(s *scope, w *work)) {
		t.Run(name, func(t *testing.T) {
			for scope, w := range works {
				t.Run(scope, func(t *testing.T) {
					t.Parallel()
					f(r.scopes(t, scope), w)
				})
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	each("install, restart, stop, crash, upgrade", beforeReboot)
	t.Run("others", func(t *testing.T) { strangers(t, r, works) })
	t.Run("load", func(t *testing.T) { underLoad(r.scopes(t, "ben")) })
	t.Run("host", func(t *testing.T) { hostDies(r.scopes(t, "carl")) })
	r.must(r.do("reboot"))
	each("reboot", func(s *scope, w *work) { afterReboot(s, w, 2) })
	r.must(r.do("crash"))
	r.must(r.do("up"))
	each("power cut", func(s *scope, w *work) { afterReboot(s, w, 3) })
	each("uninstall", theEnd)
}

func beforeReboot(s *scope, w *work) {
	t := s.t
	s.service("v1.0.0", "install")
	if again := s.service("v1.0.0", "install"); !strings.Contains(again, "already") {
		t.Errorf("the second install: %s", again)
	}
	if first, _, _ := strings.Cut(s.ctl("status"), "\n"); !strings.Contains(first, "v1.0.0") || !strings.HasSuffix(first, "service (starts at boot)") {
		t.Errorf("the first line of status: %s", first)
	}
	gate := "while [ ! -e " + s.home + "/%s ]; do sleep 0.1; done; exit %d"
	w.first = s.start(fmt.Sprintf(gate, "first", 7))
	w.long = s.start(fmt.Sprintf(gate, "long", 0))
	w.copying = s.ctl("start", "migration", "/opt/rows.csv", s.home+"/rows.jsonl", "--rate-limit", rowsRate)
	s.running(w.first, 1)
	s.running(w.long, 1)
	if env := s.ctl("run", "--wait", "--cwd", "/", "--", "env"); env != "" {
		scrubbed(t, s.ctl("logs", env))
	}
	s.until("the status line", func() bool {
		return strings.Contains(s.systemctl("show", "durable.service", "--property=StatusText"), "3 running, 0 queued")
	})

	pid := s.serving(0)
	s.systemctl("restart", "durable.service")
	pid = s.serving(pid)
	s.service("v1.0.0", "stop")
	if _, err := s.run(s.lib+"/current/durablectl", "run", "--", "true"); s.user != "" && err == nil {
		t.Error("a client has started what was stopped on purpose")
	}
	s.service("v1.0.0", "start")
	pid = s.serving(pid)

	var worst time.Duration
	checkpoints := s.checkpoints(w.copying)
	for range 15 {
		began := time.Now()
		s.systemctl("kill", "--signal=KILL", "--kill-whom=main", "durable.service")
		pid = s.serving(pid)
		worst = max(worst, time.Since(began))
		// Three interruptions without a checkpoint in between would pause it: that is what crash loops are.
		s.until("a checkpoint of the copy", func() bool { return s.checkpoints(w.copying) > checkpoints })
		checkpoints = s.checkpoints(w.copying)
	}
	t.Logf("back after a crash: in %s at most, 15 times", worst.Round(time.Millisecond))
	s.running(w.first, 1)

	s.service("v1.1.0", "upgrade")
	if info, err := s.info(); err != nil || info.Version != "v1.1.0" {
		t.Errorf("after the upgrade: %s, %v", info.Version, err)
	}
	if out, err := s.run(append([]string{"/opt/v1.0.0/durablectl", "service", "upgrade"}, s.flags()...)...); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("a downgrade: %s, %v", out, err)
	}
	s.running(w.first, 1)
	s.running(w.long, 1)
	s.ok("touch", s.home+"/first")
	s.until("the first command ends", func() bool { return s.task(w.first).Status.Terminal() })
	if first := s.task(w.first); first.Attempt != 1 || first.Error == nil || first.Error.Message != "exit status 7" {
		t.Errorf("through restarts, crashes and an upgrade: attempt %d, %+v; want exit status 7 of the first", first.Attempt, first.Error)
	}
}

func (s *scope) flags() []string {
	if s.user == "" {
		return []string{"--system"}
	}
	return nil
}

// scrubbed: a program must not speak to the service manager in the daemon's name.
func scrubbed(t *testing.T, env string) {
	t.Helper()
	for line := range strings.Lines(env) {
		for _, name := range []string{"NOTIFY_SOCKET=", "LISTEN_", "RUNTIME_DIRECTORY=", "INVOCATION_ID=", "MANAGERPID="} {
			if strings.HasPrefix(line, name) {
				t.Errorf("a program has %s", line)
			}
		}
	}
}

func afterReboot(s *scope, w *work, attempt int) {
	s.serving(0) // nobody has logged in, and durablectl status starts nothing
	s.running(w.long, attempt)
	for _, a := range s.task(w.long).Attempts {
		if a.Outcome != task.OutcomeInterrupted {
			s.t.Errorf("attempt %d of what went down with the machine is %s", a.Number, a.Outcome)
		}
	}
	if first := s.task(w.first); first.Status != task.StatusFailed || first.Attempt != 1 {
		s.t.Errorf("what had ended: %+v", first)
	}
}

func theEnd(s *scope, w *work) {
	t := s.t
	s.ok("touch", s.home+"/long")
	for _, number := range []string{w.long, w.copying} {
		s.until("task "+number+" ends", func() bool {
			got := s.task(number)
			if got.Phase == task.PhasePaused {
				t.Fatalf("task %s is paused: %s, %+v", number, got.Reason, got.Attempts)
			}
			return got.Status.Terminal()
		})
		if got := s.task(number); got.Status != task.StatusCompleted {
			t.Errorf("task %s: %s, %+v", number, got.Status, got.Error)
		}
	}
	if got := s.ok("sh", "-c", "wc -l < "+s.home+"/rows.jsonl; sort -u "+s.home+"/rows.jsonl | wc -l"); strings.Join(strings.Fields(got), " ") != fmt.Sprintf("%d %[1]d", rows) {
		t.Errorf("the copy has %s rows and different ones, want %d", got, rows)
	}
	left := s.start("exec sleep 98765")
	s.running(left, 1)
	if out := s.service("v1.1.0", "uninstall"); !strings.Contains(out, "stay in") {
		t.Errorf("uninstall does not say what it keeps: %s", out)
	}
	user := s.user
	if user == "" {
		user = "durable"
	}
	if out, err := s.do("sh", "pgrep", "-a", "-u", user, "durable|sleep"); err == nil {
		t.Errorf("still there: %s", out)
	}
	s.service("v1.1.0", "install")
	s.running(left, 2) // ended, not forgotten
	s.service("v1.1.0", "uninstall", "--purge", "--yes")
	state := map[bool]string{true: "/var/lib/durable", false: s.home + "/.local/state/durable"}[s.user == ""]
	if out, err := s.do("sh", "ls", "-a", state, s.lib); err == nil {
		t.Errorf("after --purge: %s", out)
	}
}

// strangers: another user gets nowhere.
func strangers(t *testing.T, r *rig, works map[string]*work) {
	for scope := range works {
		s := r.scopes(t, scope)
		info, err := s.info()
		if err != nil {
			t.Fatal(err)
		}
		state, sock := info.Paths.State, info.Paths.Socket
		for _, try := range [][]string{
			{"curl", "-sS", "--max-time", "10", "--unix-socket", sock, "http://durable/v1/info"},
			{"/opt/v1.1.0/durablectl", "--socket", sock, "run", "--", "touch", "/tmp/eve-was-here"},
			{"/opt/v1.1.0/durablectl", "--socket", sock, "list"},
			{"ls", state}, {"cat", state + "/store.db"}, {"cat", state + "/durabled.log"},
			{"sh", "-c", "cat " + state + "/tasks/*/*/*"}, {"touch", state + "/x"}, {"touch", s.lib + "/x"},
			{"sh", "-c", "echo > " + s.lib + "/current/durabled"}, {"ln", "-sf", "/bin/true", s.lib + "/current"},
			{"sh", "-c", fmt.Sprintf("kill %d", info.PID)}, {"cat", fmt.Sprintf("/proc/%d/environ", info.PID)},
		} {
			if out, err := r.do(append([]string{"user", "eve"}, try...)...); err == nil {
				t.Errorf("%s: another user could %s: %.200s", scope, strings.Join(try, " "), out)
			}
		}
	}
	if out, err := r.do("sh", "ls", "/tmp/eve-was-here"); err == nil {
		t.Errorf("the daemon ran something for another user: %s", out)
	}
	// Who may: the members of the group.
	r.must(r.do("sh", "usermod", "-a", "-G", "durable", "carl"))
	who := r.must(r.do("user", "carl", "sh", "-c", "/opt/v1.1.0/durablectl logs $(/opt/v1.1.0/durablectl run --wait --cwd / -- id -un)"))
	if who != "durable" {
		t.Errorf("a member's job ran as %q", who)
	}
	r.must(r.do("sh", "gpasswd", "-d", "carl", "durable"))
}

// underLoad: where systemd holds the socket, a restart loses no request, though nobody tries again.
func underLoad(s *scope) {
	t := s.t
	s.service("v1.0.0", "install", "--socket")
	client := s.dial(s.socket())
	var sent, failed atomic.Int64
	var worst atomic.Int64
	one := func(i int) {
		began := time.Now()
		var resp *http.Response
		var err error
		if i%2 == 0 {
			resp, err = client.Post("http://durable/v1/tasks", "application/json", strings.NewReader(`{"kind":"noop","params":{}}`))
		} else {
			resp, err = client.Get("http://durable/v1/tasks?limit=5")
		}
		sent.Add(1)
		if err == nil {
			_ = resp.Body.Close()
		}
		if err != nil || resp.StatusCode >= 300 {
			failed.Add(1)
			t.Errorf("request %d: %v, %v", i, resp, err)
		}
		worst.Store(max(worst.Load(), int64(time.Since(began))))
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				group.Go(func() { one(i) })
			}
		}
	})
	pid := s.serving(0)
	for n := range int64(3) {
		s.until("requests", func() bool { return sent.Load() >= 100*(n+1) })
		s.systemctl("restart", "durable.service")
		pid = s.serving(pid)
	}
	s.until("requests", func() bool { return sent.Load() >= 400 })
	close(stop)
	group.Wait()
	t.Logf("%d requests through 3 restarts, %d failed, the slowest took %s", sent.Load(), failed.Load(), time.Duration(worst.Load()).Round(time.Millisecond))
	s.service("v1.0.0", "uninstall", "--purge", "--yes")
}

// hostDies: a host in a scope of its own starts the daemon by a client, then is killed with all of its scope.
func hostDies(s *scope) {
	t := s.t
	ctl := "/opt/v1.0.0/durablectl"
	s.lib = "/opt/v1.0.0" // nothing is installed
	s.ok("systemd-run", "--user", "--unit=host", "--property=KillMode=control-group", "--quiet", "sh", "-c", ctl+" run --cwd / -- sleep 54321; exec sleep 1000")
	daemon := func() string {
		out, _ := s.run("sh", "-c", ctl+" status --json")
		return out
	}
	s.until("the daemon is up", func() bool { return strings.Contains(daemon(), `"running":1`) })
	s.systemctl("kill", "--signal=KILL", "host.service")
	s.until("the host is gone", func() bool {
		out, _ := s.run("systemctl", "--user", "is-active", "host.service")
		return out != "active"
	})
	out := s.ok(ctl, "status")
	if first, _, _ := strings.Cut(out, "\n"); !strings.Contains(first, "until reboot: durablectl service install") {
		t.Errorf("the first line of status: %s", first)
	}
	list := s.ok(ctl, "list")
	if !strings.Contains(list, "running") || !strings.Contains(list, "sleep 54321") {
		t.Errorf("after the host's death: %s", list)
	}
	if out := s.ok("pgrep", "-f", "sleep 54321"); out == "" {
		t.Error("the command is gone")
	}
	// What is installed is what is started from then on; the one that runs leaves to it.
	s.ok(ctl, "service", "install")
	s.systemctl("stop", "durable.service") // not by durablectl: no mark
	s.ok(ctl, "run", "--wait", "--cwd", "/", "--", "true")
	if got := s.systemctl("is-active", "durable.service"); got != "active" {
		t.Errorf("the installed service is %s", got)
	}
	if list := s.ok(ctl, "list"); !strings.Contains(list, "sleep 54321") {
		t.Errorf("under the service: %s", list)
	}
	s.ok(ctl, "service", "uninstall", "--purge", "--yes")
}
