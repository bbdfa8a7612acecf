package shim_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"durable/daemon/shim"
	"durable/ipc/task"
)

func TestExits(t *testing.T) {
	for _, c := range []struct {
		name, script string
		code         int
		signal       string
	}{
		{"success", "exit 0", 0, ""},
		{"seven", "exit 7", 7, ""},
		{"segv", "ulimit -c 0; kill -SEGV $$", -1, "SIGSEGV"},
		{"term", "kill -TERM $$", -1, "SIGTERM"},
		{"kill", "kill -KILL $$", -1, "SIGKILL"},
		{"realtime", "kill -40 $$", -1, "signal 40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "echo out; echo err >&2; "+c.script)
			before := time.Now()
			e := b.wait(b.start())
			if e.Code != c.code || e.Signal != c.signal || e.Error != "" {
				t.Errorf("got %+v", e)
			}
			if e.Started.Before(before) || e.Ended.Before(e.Started) || e.Ended.After(time.Now()) {
				t.Errorf("it ran from %s to %s", e.Started, e.Ended)
			}
			if e.MaxRSS < 100<<10 || e.MaxRSS > 1<<30 {
				t.Errorf("max RSS: %d", e.MaxRSS)
			}
			if out, err := string(b.read("stdout")), string(b.read("stderr")); out != "out\n" || err != "err\n" {
				t.Errorf("stdout %q, stderr %q", out, err)
			}
			if again := b.wait(b.recover(shim.Ended)); again != e {
				t.Errorf("recovered %+v, want %+v", again, e)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := newBed(t, `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done`)
	if e := b.wait(b.start()); e.UserTime <= 0 || e.UserTime > patience {
		t.Errorf("user time %s", e.UserTime)
	}
}

func TestNotExecuted(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("echo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*shim.Spec)
		want   string
		hint   string
	}{
		{"missing", func(s *shim.Spec) { s.Path = "/nowhere/x" }, "exec /nowhere/x: no such file or directory", "is the program there"},
		{"mode", func(s *shim.Spec) { s.Path = plain }, "exec " + plain + ": permission denied", "chmod"},
		{"format", func(s *shim.Spec) { s.Path = script }, "exec " + script + ": exec format error", "#!"},
		{"dir", func(s *shim.Spec) { s.Dir = "/nowhere" }, "chdir /nowhere: no such file or directory", ""},
		{"stdin", func(s *shim.Spec) { s.Stdin = "/nowhere" }, "open /nowhere: no such file or directory", ""},
		{"relative", func(s *shim.Spec) { s.Path = "sh" }, "want an absolute path", ""},
		{"unmarked", func(s *shim.Spec) { s.Env = nil }, "the environment has no", ""},
		{"version", func(s *shim.Spec) { s.Version = 99 }, "newer version", "install both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "echo ran > witness")
			c.change(&b.spec)
			_, err := b.l.Start(b.ctx(), b.dir, b.specs)
			if !errors.Is(err, shim.ErrNotExecuted) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if hint := task.AsError(err).Hint; !strings.Contains(hint, c.hint) {
				t.Errorf("hint %q, want %q", hint, c.hint)
			}
			if p, verdict, err := b.l.Recover(b.ctx(), b.dir, nonce); err != nil {
				t.Error(err)
			} else if e, err := p.Wait(b.ctx()); verdict != shim.NotStarted && e.Error == "" {
				t.Errorf("%s, %+v, %v", verdict, e, err)
			}
		})
	}
}

func TestStartOfNoHolder(t *testing.T) {
	b := newBed(t, "true")
	b.l.Program = "/nowhere/durable-shim"
	if _, err := b.l.Start(b.ctx(), b.dir, b.specs); !errors.Is(err, shim.ErrNotExecuted) {
		t.Errorf("got %v", err)
	}
	b.l.Program = "/bin/true" // answers nothing
	if _, err := b.l.Start(b.ctx(), b.dir, b.specs); !errors.Is(err, shim.ErrNotExecuted) {
		t.Errorf("got %v", err)
	}
}

func TestStartCancelled(t *testing.T) {
	b := newBed(t, "echo ran >> witness")
	ctx, cancel := context.WithCancel(context.Background())
	b.l.Hook = func(point string) {
		if point == shim.PointSpawned {
			cancel()
		}
	}
	b.spec.Env = append(b.spec.Env, "BIG="+strings.Repeat("x", 100<<10))
	b.l.Program = stopped(t)
	_, err := b.l.Start(ctx, b.dir, b.specs)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, shim.ErrNotExecuted) || b.witness() != 0 {
		t.Errorf("got %v", err)
	}
}

// stopped is a holder that does not read its spec, but leaves when it is told that there is no more of it.
func stopped(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "holder")
	script := "#!/bin/sh\nexec sleep 0.3\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTwice: a folder is good for one start.
func TestTwice(t *testing.T) {
	b := newBed(t, "echo ran >> witness")
	b.wait(b.start())
	if _, err := b.l.Start(b.ctx(), b.dir, b.specs); !errors.Is(err, task.FailedPrecondition) || !errors.Is(err, shim.ErrNotExecuted) {
		t.Errorf("got %v", err)
	}
	if b.witness() != 1 {
		t.Errorf("it ran %d times", b.witness())
	}
}

// TestInheritance: the program finds no signal ignored or blocked, leads its session, has no descriptor but three, and
// just the environment that it was given, byte for byte.
func TestInheritance(t *testing.T) {
	b := newBed(t, `grep -E '^Sig(Blk|Ign)' /proc/self/status; echo $(ls /proc/self/fd); cut -d' ' -f1,5,6,19 /proc/$$/stat; tr '\0' '\n' < /proc/$$/environ | grep -av PWD; pwd; nice`)
	b.spec.Env = append(b.spec.Env, "ODD=a\xff\"\\\nb")
	b.spec.Nice = 5
	p := b.start()
	b.wait(p)
	lines := strings.Split(string(b.read("stdout")), "\n")
	pid := lines[3][:strings.IndexByte(lines[3], ' ')]
	nice := strconv.Itoa(min(niceness(t)+5, 19)) // whoever tests may be nice himself
	want := []string{"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "0 1 2 3", pid + " " + pid + " " + pid + " " + nice}
	want = append(want, strings.Split(strings.Join(b.spec.Env, "\n"), "\n")...)
	want = append(want, b.dir, nice, "")
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%q\nwant\n%q", got, strings.Join(want, "\n"))
	}
}

// TestIgnoredSignals: what whoever started the daemon has ignored, the program finds in its default state.
func TestIgnoredSignals(t *testing.T) {
	b := newBed(t, `grep ^SigIgn /proc/self/status`)
	late := b.holderByHand()
	cmd := exec.Command("/bin/sh", "-c", `trap "" HUP INT QUIT TERM PIPE CHLD TSTP TTIN TTOU USR1; exec "$0" "$1"`, holderPath, b.dir)
	cmd.Stdin = late.Stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := string(b.read("stdout")); got != "SigIgn:\t0000000000000000\n" {
		t.Error(got)
	}
}

// TestHolderLives: signals that others die of do not end a holder.
func TestHolderLives(t *testing.T) {
	b := newBed(t, "read x < go; exit 3")
	if err := mkfifo(filepath.Join(b.dir, "go")); err != nil {
		t.Fatal(err)
	}
	p := b.start()
	for _, sig := range []string{"HUP", "INT", "QUIT", "TERM", "PIPE", "USR1", "USR2", "ALRM", "TSTP", "IO"} {
		if err := signalByName(b.holder().PID, sig); err != nil {
			t.Fatal(sig, err)
		}
	}
	b.write("go", "now\n")
	if e := b.wait(p); e.Code != 3 {
		t.Errorf("got %+v", e)
	}
}

// checkLeft: one process is left, or none. One that is kept may still be on its way to its exec.
func (b *bed) checkLeft(keep bool) {
	b.Helper()
	if keep {
		b.eventually("one is left", func() bool { return b.members() == 1 })
	} else if n := b.members(); n != 0 {
		b.Errorf("%d processes are left", n)
	}
}

// TestLeftovers: a program that closes its output, or forks and goes, has an end like others.
func TestLeftovers(t *testing.T) {
	for _, c := range []struct {
		name, script string
		keep         bool
	}{
		{"forks and goes", "sleep 1000 & exec >&- 2>&-; exit 4", false},
		{"ignores TERM", `trap "" TERM; sleep 1000 & exit 4`, false},
		{"is kept", "sleep 1000 & echo $! > kept; exit 4", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, c.script)
			b.spec.KeepChildren = c.keep
			p := b.start()
			if e := b.wait(p); e.Code != 4 {
				t.Errorf("got %+v", e)
			}
			b.checkLeft(c.keep)
		})
	}
}
