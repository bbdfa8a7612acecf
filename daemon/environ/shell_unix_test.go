//go:build unix

package environ_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"durable/daemon/config"
	"durable/daemon/environ"
)

// home is a home folder with a profile, and a record of what was logged.
type home struct {
	t   *testing.T
	dir string
	log bytes.Buffer
}

func newHome(t *testing.T, profile string) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir()}
	for _, name := range []string{".profile", ".bash_profile"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(profile), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *home) own() []string {
	return []string{"HOME=" + h.dir, "PATH=/usr/bin:/bin", "OWN=1", "NOTIFY_SOCKET=/n", "_=/bin/x"} // dash exports $_ only where it found it
}

// patience bounds every wait for something that must happen; only a hanging test meets it.
const patience = time.Minute

// environment has a shell asked that may take that long; 0 is as long as it takes.
func (h *home) environment(shell string, timeout time.Duration) *environ.Environment {
	timeout = cmp.Or(timeout, patience)
	e := environ.New(environ.Options{
		Shell: shell, Environ: h.own, Timeout: timeout, Logger: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	h.t.Cleanup(e.Close)
	return e
}

// shells are those that every machine has on which this is tested.
var shells = []string{"/bin/sh", "/bin/bash"}

func inShells(t *testing.T, profile string, timeout time.Duration, check func(t *testing.T, h *home, e *environ.Environment)) {
	t.Helper()
	for _, shell := range shells {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			h := newHome(t, profile)
			e := h.environment(shell, timeout)
			e.Load(config.Environment{})
			check(t, h, e)
		})
	}
}

// good wants the environment of the profile, which says FROM_PROFILE.
func good(t *testing.T, h *home, e *environ.Environment) {
	t.Helper()
	env := e.Base()
	for name, want := range map[string]string{"FROM_PROFILE": "it's\na \"sesame\"", "OWN": "1", "HOME": h.dir} {
		if v, n := value(env, name); v != want || n != 1 {
			t.Errorf("%s=%q, %d times, want %q", name, v, n, want)
		}
	}
	for _, name := range []string{"_", "SHLVL", "PWD", "OLDPWD", "TERM", "NOTIFY_SOCKET", "DURABLE_RESOLVING_ENVIRONMENT"} {
		if v, n := value(env, name); n != 0 {
			t.Errorf("%s=%s is there", name, v)
		}
	}
	if v, _ := value(env, "PATH"); !strings.HasPrefix(v, h.dir+"/sdk:") {
		t.Errorf("PATH=%s", v)
	}
	if w := e.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
	e.Close()
	if strings.Contains(h.log.String(), "sesame") {
		t.Errorf("a value was logged: %s", h.log.String())
	}
}

// poor wants the daemon's own environment, and a warning that says why.
func poor(t *testing.T, h *home, e *environ.Environment, why string) {
	t.Helper()
	env := e.Base()
	if _, n := value(env, "FROM_PROFILE"); n != 0 {
		t.Error("half of a profile")
	}
	path, _ := value(env, "PATH")
	if dirs := filepath.SplitList(path); !slices.Equal(dirs[:2], []string{"/usr/bin", "/bin"}) || !slices.Contains(dirs, "/usr/local/bin") || slices.Contains(dirs, h.dir+"/bin") {
		t.Errorf("PATH=%s", path)
	}
	if v, _ := value(env, "OWN"); v != "1" {
		t.Error("the daemon's own is not there")
	}
	w := e.Warnings()
	if len(w) != 1 || !strings.Contains(w[0], why) || !strings.Contains(w[0], "durablectl reload") || strings.Contains(w[0], "sesame") {
		t.Errorf("warnings: %q, want %q", w, why)
	}
	e.Close()
	if strings.Contains(h.log.String(), "sesame") {
		t.Errorf("a value was logged: %s", h.log.String())
	}
}

const profile = `FROM_PROFILE="it's
a \"sesame\""
export FROM_PROFILE
PATH=$HOME/sdk:$PATH
`

func TestProfile(t *testing.T) { inShells(t, profile, 0, good) }

func TestSlowProfile(t *testing.T) { inShells(t, "sleep 0.5\n"+profile, 0, good) }

func TestNoisyProfile(t *testing.T) {
	inShells(t, "i=0; while [ $i -lt 3000 ]; do echo 'A=sesame and much more garbage'; i=$((i+1)); done\nprintf '\\0\\0X=1\\0'; echo oops >&2\n"+profile, 0, good)
}

func TestProfileThatReadsItsInput(t *testing.T) {
	inShells(t, "read answer; cat >/dev/null\n"+profile, 0, good)
}

func TestProfileThatKnowsWhoAsks(t *testing.T) {
	inShells(t, `[ -n "$DURABLE_RESOLVING_ENVIRONMENT" ] || exit 3`+"\n"+profile, 0, good)
}

func TestProfileThatExits(t *testing.T) {
	inShells(t, profile+"exit 0\n", 0, func(t *testing.T, h *home, e *environ.Environment) {
		poor(t, h, e, "ended before")
	})
}

func TestProfileThatIsWrong(t *testing.T) {
	h := newHome(t, "")
	program := filepath.Join(h.dir, "shell")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho sesame; exec /bin/sh -c 'PATH=; '\"$2\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	e := h.environment(program, 0)
	e.Load(config.Environment{})
	poor(t, h, e, "no PATH")
}

// TestProfileThatHangs: all of the shell's group is gone afterwards.
func TestProfileThatHangs(t *testing.T) {
	for _, shell := range shells {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			for limit := 500 * time.Millisecond; ; limit *= 2 { // until the shell comes so far in that time
				h := newHome(t, "echo sesame; sleep 1000 & echo $! >$HOME/pid\nwhile :; do sleep 1000; done\n")
				e := h.environment(shell, limit)
				e.Load(config.Environment{})
				poor(t, h, e, "longer than "+limit.String())
				if text, _ := os.ReadFile(filepath.Join(h.dir, "pid")); len(text) > 0 {
					h.gone()
					return
				}
				if limit > patience {
					t.Fatalf("the shell does nothing in %s", limit)
				}
			}
		})
	}
}

// TestProfileThatLeavesSomethingBehind does not have to wait for it, and does not keep it.
func TestProfileThatLeavesSomethingBehind(t *testing.T) {
	inShells(t, "sleep 1000 & echo $! >$HOME/pid\n"+profile, time.Hour, func(t *testing.T, h *home, e *environ.Environment) {
		good(t, h, e) // or never
		h.gone()
	})
}

// gone wants the process of $HOME/pid to be no more. It may take the kernel a moment.
func (h *home) gone() {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "pid"))
	if err != nil {
		h.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for alive(pid) {
		select {
		case <-ctx.Done():
			h.t.Fatalf("process %d is still there", pid)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// alive is false for one that waits to be reaped by a process that is not ours.
func alive(pid int) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !hasProc()
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z"))
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

func TestNoSuchShell(t *testing.T) {
	h := newHome(t, profile)
	e := h.environment("/no/such/shell", 0) // then the one of $SHELL, the user database, /bin/sh
	e.Load(config.Environment{})
	good(t, h, e)
}

func TestUserWhoMustNotLogIn(t *testing.T) {
	h := newHome(t, profile)
	e := h.environment("/usr/sbin/nologin", 0)
	e.Load(config.Environment{})
	if _, n := value(e.Base(), "FROM_PROFILE"); n != 0 || len(e.Warnings()) != 0 {
		t.Errorf("%v, warnings %q", e.Base(), e.Warnings())
	}
}

// TestNothingSet: a service's environment may lack HOME and all else.
func TestNothingSet(t *testing.T) {
	e := environ.New(environ.Options{Shell: "/bin/sh", Timeout: patience, Environ: func() []string { return nil }})
	defer e.Close()
	e.Load(config.Environment{})
	env := e.Base()
	for _, name := range []string{"HOME", "PATH", "USER"} {
		if v, _ := value(env, name); v == "" {
			t.Errorf("%s is not set", name)
		}
	}
}

// TestReload: who waits gets what was asked for last; the reading before does not go on.
func TestReload(t *testing.T) {
	h := newHome(t, "[ -e $HOME/again ] || { echo $$ >$HOME/pid; sleep 1000; }\n"+profile)
	e := h.environment("/bin/sh", time.Minute)
	e.Load(config.Environment{})
	waits := make(chan []string, 1)
	go func() { waits <- e.Base() }()
	h.await("pid")
	if err := os.WriteFile(filepath.Join(h.dir, "again"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if w := e.Warnings(); len(w) != 0 {
		t.Errorf("warnings of a reading under way: %q", w)
	}
	e.Load(config.Environment{Set: map[string]string{"SET": "1"}})
	if v, _ := value(<-waits, "SET"); v != "1" {
		t.Error("got the environment that was replaced")
	}
	good(t, h, e)
	h.gone()
}

func (h *home) await(name string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if text, err := os.ReadFile(filepath.Join(h.dir, name)); err == nil && len(text) > 0 {
			return
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("%s never came", name)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestProfileMayGiveItsLocksBack: who is told to end can, before he is killed.
func TestProfileMayGiveItsLocksBack(t *testing.T) {
	t.Cleanup(environ.SetEndGrace(patience))
	inShells(t, "/bin/sh -c 'trap \"rm -f $HOME/lock; exit 1\" TERM; touch $HOME/lock; echo $$ >$HOME/pid; while :; do sleep 0.05; done'\n", time.Minute,
		func(t *testing.T, h *home, e *environ.Environment) {
			h.await("pid")
			e.Close()
			if _, err := os.Stat(filepath.Join(h.dir, "lock")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the lock is left: %v", err)
			}
			h.gone()
		})
}

// TestCloseEndsAReading: the daemon's leave waits for no profile.
func TestCloseEndsAReading(t *testing.T) {
	h := newHome(t, "echo $$ >$HOME/pid\nsleep 1000\n")
	e := h.environment("/bin/sh", time.Hour)
	e.Load(config.Environment{})
	h.await("pid")
	e.Close()
	h.gone()
	e.Base() // does not wait
	e.Load(config.Environment{})
	e.Base()
}
