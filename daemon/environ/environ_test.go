package environ_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"durable/daemon/config"
	"durable/daemon/environ"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// value returns that of a variable, and how often it is there.
func value(env []string, name string) (v string, n int) {
	for _, e := range env {
		if rest, ok := strings.CutPrefix(e, name+"="); ok {
			v = rest
			n++
		}
	}
	return v, n
}

func TestScrub(t *testing.T) {
	env := []string{
		"NOTIFY_SOCKET=x", "LISTEN_FDS=1", "LISTEN_PID=2", "RUNTIME_DIRECTORY=/r", "INVOCATION_ID=i", "MANAGERPID=1",
		"JOURNAL_STREAM=8:1", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "SYSTEMD_EXEC_PID=1", "DURABLE_AUTOSTART=0", "DURABLE_RESOLVING_ENVIRONMENT=1",
		"LISTENER=kept", "PATH=/bin", "DURABLE_HOME=/h",
	}
	before := slices.Clone(env)
	got := environ.Scrub(env)
	if want := []string{"LISTENER=kept", "PATH=/bin", "DURABLE_HOME=/h"}; !slices.Equal(got, want) || !slices.Equal(env, before) {
		t.Errorf("got %v", got)
	}
}

// TestDaemonsOwn: no shell is asked.
func TestDaemonsOwn(t *testing.T) {
	e := environ.New(environ.Options{Shell: "/does/not/matter", Environ: func() []string {
		return []string{"PATH=/own", "X=1", "X=2", "NOTIFY_SOCKET=/n", "=C:=C:\\", "B=" + strings.Repeat("b", 3)}
	}})
	defer e.Close()
	if v, n := value(e.Base(), "X"); v != "2" || n != 1 {
		t.Errorf("before the first load: X=%s, %d times", v, n)
	}
	e.Load(config.Environment{Source: config.SourceDaemon, Path: []string{"/a", "/b"}, Set: map[string]string{"X": "3", "NEW": "n", "WATCHDOG_USEC": "1"}})
	env := e.Base()
	sep := string(os.PathListSeparator)
	for name, want := range map[string]string{"PATH": "/a" + sep + "/b" + sep + "/own", "X": "3", "NEW": "n", "B": "bbb"} {
		if v, n := value(env, name); v != want || n != 1 {
			t.Errorf("%s=%s, %d times, want %s", name, v, n, want)
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", ""} {
		if _, n := value(env, name); n != 0 {
			t.Errorf("%s is there", name)
		}
	}
	if !slices.IsSorted(env) || len(e.Warnings()) != 0 {
		t.Errorf("%v, warnings %v", env, e.Warnings())
	}
	env[0] = "spoilt"
	if slices.Contains(e.Base(), "spoilt") {
		t.Error("Base gives its own slice away")
	}
}

// TestSetDecidesPath: path goes before whatever PATH there is.
func TestSetDecidesPath(t *testing.T) {
	e := environ.New(environ.Options{Environ: func() []string { return []string{"PATH=/own"} }})
	defer e.Close()
	e.Load(config.Environment{Source: config.SourceDaemon, Path: []string{"/a"}, Set: map[string]string{"PATH": "/set"}})
	if v, _ := value(e.Base(), "PATH"); v != "/a"+string(filepath.ListSeparator)+"/set" {
		t.Errorf("PATH=%s", v)
	}
}
