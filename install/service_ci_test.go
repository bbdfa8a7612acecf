//go:build ci && linux

package install_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a crash may cost. A machine that does much besides may hold up one of many; the half of them must keep the promise.
const (
	crashes   = 15
	backMost  = 3 * time.Second
	backWorst = 15 * time.Second
)

// work is what runs while things happen to the daemon.
type work struct {
	*ledger
	through *promise // restarts, crashes and an upgrade
	long    *promise // all, and reboots too
	copying *promise
}

// TestCIService: a real systemd, the machine's service and a user's beside each other, through all that happens to services.
func TestCIService(t *testing.T) {
	r := newRig(t)
	r.build()
	for _, user := range []string{"anna", "ben", "carl", "eve"} {
		r.must(r.do("sh", "useradd", "-m", "-s", "/bin/sh", user))
		// Homes that all may look into: what keeps others out must be ours.
		r.must(r.do("sh", "install", "-d", "-o", user, "-g", user, "-m", "755", "/home/"+user, "/home/"+user+"/.local", "/home/"+user+"/.local/state"))
		if user != "eve" {
			r.must(r.do("sh", "loginctl", "enable-linger", user))
		}
	}
	works := map[string]*work{"system": newWork(), "anna": newWork()}
	each := func(name string, f func(s *scope, w *work)) {
		t.Run(name, func(t *testing.T) {
			for scope, w := range works {
				t.Run(scope, func(t *testing.T) {
					t.Parallel()
					w.s = r.scopes(t, scope)
					f(w.s, w)
				})
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	each("install, restart, stop", beforeCrashes)
	each("crash, upgrade", crashed)
	t.Run("others", func(t *testing.T) { strangers(t, r, works) })
	t.Run("host", func(t *testing.T) { hostDies(r.scopes(t, "carl")) })
	each("before the reboot", func(s *scope, w *work) {
		w.copying = w.copies(40_000)
		w.holds("the submit")
	})
	r.must(r.do("reboot"))
	each("reboot", afterReboot)
	r.must(r.do("crash"))
	r.must(r.do("up"))
	each("power cut", afterReboot)
	each("uninstall", theEnd)
	t.Run("load", func(t *testing.T) {
		for _, scope := range []string{"system", "ben"} {
			t.Run(scope, func(t *testing.T) {
				t.Parallel()
				underLoad(r.scopes(t, scope))
			})
		}
	})
}

func newWork() *work { return &work{ledger: &ledger{tasks: map[string]*promise{}}} }

func beforeCrashes(s *scope, w *work) {
	t := s.t
	s.service("v1.0.0", "install")
	if again := s.service("v1.0.0", "install"); !strings.Contains(again, "already") {
		t.Errorf("the second install: %s", again)
	}
	if first, _, _ := strings.Cut(s.ctl("status"), "\n"); !strings.Contains(first, "v1.0.0") || !strings.HasSuffix(first, "service (starts at boot)") {
		t.Errorf("the first line of status: %s", first)
	}
	w.through, w.long, w.copying = w.command(7), w.command(0), w.copies(60_000)
	env := s.ctl("run", "--wait", "--cwd", "/", "--", "env")
	scrubbed(t, s.ctl("logs", env))
	w.ran(env)
	s.until("the status line", func() bool {
		return strings.Contains(s.systemctl("show", "durable.service", "--property=StatusText"), "3 running, 0 queued")
	})
	w.holds("the submits")

	pid := s.serving(0)
	restarted := w.command(3)
	w.release(restarted)
	s.systemctl("restart", "durable.service")
	pid = s.serving(pid)
	w.holds("systemctl restart", restarted)

	stopped := w.command(4)
	s.service("v1.0.0", "stop")
	w.release(stopped) // it ends while there is no daemon
	if _, err := s.run(s.lib+"/current/durablectl", "run", "--", "true"); s.user != "" && err == nil {
		t.Error("a client has started what was stopped on purpose")
	}
	s.service("v1.0.0", "start")
	s.serving(pid)
	w.holds("stop and start", stopped)
}

// crashed: the daemon is killed again and again, and a command ends while it is away each time; then comes another build.
func crashed(s *scope, w *work) {
	t := s.t
	pid := s.serving(0)
	var back []time.Duration
	began := time.Now()
	for i := range crashes {
		gone := w.command(20 + i)
		s.systemctl("kill", "--signal=KILL", "--kill-whom=main", "durable.service")
		w.release(gone)
		took := time.Since(began)
		pid = s.serving(pid)
		back = append(back, s.away())
		w.holds(fmt.Sprintf("crash %d", i+1), gone)
		if i == crashes-1 && took > time.Minute {
			t.Errorf("%d crashes were to be within a minute; they took %s", crashes, took)
		}
		// Three interruptions without a checkpoint in between would pause it: that is what crash loops are.
		w.checkpoint(w.copying)
	}
	slices.Sort(back)
	middle, worst := back[len(back)/2], back[len(back)-1]
	t.Logf("back after a crash: in %s, the median of %d within %s; in %s at most", middle, len(back), time.Since(began).Round(time.Second), worst)
	if middle > backMost || worst > backWorst {
		t.Errorf("want %s, and %s at most: %v", backMost, backWorst, back)
	}
	if got := s.systemctl("show", "durable.service", "--property=NRestarts", "--value"); got != strconv.Itoa(crashes) {
		t.Errorf("systemd brought it back %s times, want %d", got, crashes)
	}
	s.service("v1.1.0", "upgrade")
	if info, err := s.info(); err != nil || info.Version != "v1.1.0" || info.PID == pid {
		t.Errorf("after the upgrade: %s, process %d, %v", info.Version, info.PID, err)
	}
	w.holds("the upgrade")
	if out, err := s.run(append([]string{"/opt/v1.0.0/durablectl", "service", "upgrade"}, s.flags()...)...); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("a downgrade: %s, %v", out, err)
	}
	w.release(w.through)
	w.holds("a downgrade that was refused", w.through)
}

func (s *scope) flags() []string {
	if s.user == "" {
		return []string{"--system"}
	}
	return nil
}

// away is how long the daemon was away after it died, by systemd's clock: until it had told that it serves.
func (s *scope) away() time.Duration {
	s.t.Helper()
	at := map[string]int64{}
	for line := range strings.Lines(s.systemctl("show", "durable.service", "--property=ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		at[name], _ = strconv.ParseInt(value, 10, 64)
	}
	died, back := at["ActiveExitTimestampMonotonic"], at["ActiveEnterTimestampMonotonic"]
	if died == 0 || back < died {
		s.t.Errorf("systemd has not seen it die and come back: %v", at)
	}
	return time.Duration(back-died) * time.Microsecond
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

func afterReboot(s *scope, w *work) {
	s.serving(0) // nothing has asked for it: what is here neither logs in nor starts a daemon
	if s.user != "" {
		if got := s.must(s.do("sh", "loginctl", "show-user", s.user, "--property=State", "--value")); got != "lingering" {
			s.t.Errorf("the user is %s; nobody has logged in", got)
		}
	}
	w.wentDown()
	w.holds("a reboot")
	if w.copying.ended != nil {
		s.t.Errorf("the copy had ended before, in attempt %d: it proves nothing", w.copying.attempt)
	}
}

func theEnd(s *scope, w *work) {
	t := s.t
	w.release(w.long)
	var open []*promise
	for _, p := range w.tasks {
		if p.ended == nil {
			open = append(open, p)
		}
	}
	w.holds("all that", open...)
	left := w.command(5)
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
	w.wentDown() // its program was ended, and its task is not forgotten
	w.release(left)
	w.holds("uninstall and install", left)
	s.service("v1.1.0", "uninstall", "--purge", "--yes")
	state := map[bool]string{true: "/var/lib/durable", false: s.home + "/.local/state/durable"}[s.user == ""]
	if out, err := s.do("sh", "ls", "-a", state, s.lib); err == nil {
		t.Errorf("after --purge: %s", out)
	}
}
