//go:build unix

// The programs of these tests are scripts.

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// fake is a service manager. Its daemon is one in this process.
type fake struct {
	t          *testing.T
	s          *Service
	registered bool
	up         bool
	state      string
	broken     string // a step that fails
	did        []string
	stays      bool // its daemon does, where the stop fails
	stop       func()
}

func (f *fake) step(name string) error {
	f.did = append(f.did, name)
	if f.broken == name {
		return errors.New(name + " is broken")
	}
	return nil
}

func (f *fake) name() string { return "fake" }
func (f *fake) look(_ context.Context, st *Status) error {
	st.Installed, st.Enabled, st.Running, st.State = f.registered, f.registered, f.up, f.state
	return nil
}
func (f *fake) check(context.Context) error { return f.step("check") }
func (f *fake) register(context.Context) (func(), error) {
	before := f.registered
	if err := f.step("register"); err != nil {
		return nil, err
	}
	f.registered = true
	return func() {
		f.did = append(f.did, "unregister "+f.s.home.version())
		f.registered = before
	}, nil
}
func (f *fake) unregister(context.Context) error {
	f.registered = false
	return f.step("unregister")
}
func (f *fake) start(context.Context) error {
	if err := f.step("start " + f.s.home.version()); err != nil {
		return err
	}
	f.serve()
	return nil
}
func (f *fake) halt() {
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
	f.up = false
}
func (f *fake) restart(ctx context.Context) error {
	f.halt()
	return f.start(ctx)
}
func (f *fake) logs(int, bool) []string { return nil }

type stopper struct{ *fake }

func (s stopper) stop(context.Context) error {
	err := s.step("stop")
	if err == nil || !s.stays {
		s.halt()
	}
	return err
}

type daemonStub struct {
	task.UnimplementedService
	info task.Info
}

func (d daemonStub) Info(context.Context) (task.Info, error) { return d.info, nil }

func (f *fake) serve() {
	l, err := socket.Listen(f.s.paths.Socket)
	if err != nil {
		f.t.Fatal(err)
	}
	server := localapi.New(daemonStub{info: task.Info{PID: len(f.did), Version: f.s.home.version()}}, localapi.Options{}).Server()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	f.up = true
	f.stop = func() {
		_ = server.Close()
		<-done
	}
}

// putPrograms makes a folder of programs that say which version they are, and which schema they write.
func putPrograms(t *testing.T, version string, schema int) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = schema ] && echo %d || echo durabled version %s\n", schema, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newTest returns a service in folders of the test's own.
func newTest(t *testing.T) (*Service, *fake) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "durable-install-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv(socket.EnvHome, "")
	s := &Service{
		opts:  Options{Say: t.Logf, System: os.Geteuid() == 0}, // whoever runs the test may do it
		paths: socket.In(filepath.Join(dir, "state")), home: layout{lib: filepath.Join(dir, "lib"), bin: filepath.Join(dir, "bin")},
	}
	s.detach = func(context.Context) error {
		t.Error("a daemon is started that is no service")
		return nil
	}
	f := &fake{t: t, s: s}
	t.Cleanup(f.halt)
	s.manager = stopper{f}
	return s, f
}

// install is Install without the account of the machine's service.
func install(t *testing.T, s *Service, from string) (Result, error) {
	t.Helper()
	s.opts.From = from
	before, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	system := s.opts.System
	s.opts.System = false
	defer func() { s.opts.System = system }()
	return s.put(t.Context(), before)
}

// tree lists what is below a folder, with where links lead.
func tree(t *testing.T, dirs ...string) string {
	t.Helper()
	var all []string
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			target, _ := os.Readlink(path)
			all = append(all, strings.TrimPrefix(path, filepath.Dir(dir))+" "+target)
			return nil
		})
	}
	return strings.Join(all, "\n")
}

func TestInstallUpgradeUninstall(t *testing.T) {
	s, f := newTest(t)
	one, two := putPrograms(t, "v1.0.0", 1), putPrograms(t, "v1.1.0", 1)
	res, err := install(t, s, one)
	if err != nil || res.Version != "v1.0.0" || !res.Changed || res.Before != "" {
		t.Fatalf("%+v, %v", res, err)
	}
	if info, err := os.Stat(s.paths.State); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state folder: %v, %v", info, err)
	}
	if out, err := run(t.Context(), filepath.Join(s.home.bin, "durablectl")); err != nil || !strings.Contains(out, "v1.0.0") {
		t.Errorf("by its link: %q, %v", out, err)
	}
	f.did = nil
	if res, err = install(t, s, one); err != nil || res.Changed || slices.Contains(f.did, "start v1.0.0") {
		t.Errorf("again: %+v, %v; did %v", res, err, f.did)
	}
	if res, err = install(t, s, two); err != nil || res.Version != "v1.1.0" || res.Before != "v1.0.0" || s.home.version() != "v1.1.0" {
		t.Errorf("an upgrade: %+v, %v", res, err)
	}
	if names := tree(t, s.home.lib); !strings.Contains(names, "v1.0.0-") {
		t.Errorf("the way back is gone: %s", names)
	}
	if _, err := install(t, s, one); !errors.Is(err, task.FailedPrecondition) || task.AsError(err).Hint == "" {
		t.Errorf("a downgrade: %v", err)
	}
	s.opts.Downgrade = true
	if res, err = install(t, s, one); err != nil || s.home.version() != "v1.0.0" {
		t.Errorf("a downgrade that is wanted: %+v, %v", res, err)
	}
	if _, err := s.Uninstall(t.Context(), false); err != nil {
		t.Error(err)
	}
	if left := tree(t, s.home.lib); left != "" || f.registered || f.up {
		t.Errorf("left behind: %s, registered %t, up %t", left, f.registered, f.up)
	}
	if _, err := os.Lstat(filepath.Join(s.home.bin, "durablectl")); err == nil {
		t.Error("the link is still there")
	}
}

// TestFailedInstallLeavesNothing, and a failed upgrade what was there, with its daemon up.
func TestFailedInstallLeavesNothing(t *testing.T) {
	for _, broken := range []string{"check", "register", "start v1.1.0"} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first %t", broken, first), func(t *testing.T) {
				s, f := newTest(t)
				if !first {
					if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); err != nil {
						t.Fatal(err)
					}
				}
				before := tree(t, s.home.lib)
				f.broken = broken
				if _, err := install(t, s, putPrograms(t, "v1.1.0", 1)); err == nil {
					t.Fatal("it did not fail")
				}
				after := tree(t, s.home.lib)
				if first {
					after = strings.TrimSuffix(after, "/lib ") // an empty folder
				}
				if after != before || f.registered == first || f.up == first {
					t.Errorf("left %q, want %q; registered %t, up %t", after, before, f.registered, f.up)
				}
			})
		}
	}
}

// TestFailedUpgradeIsTakenBack in the order in which the old daemon finds all as it was; one that was stopped on purpose stays stopped.
func TestFailedUpgradeIsTakenBack(t *testing.T) {
	for _, up := range []bool{true, false} {
		s, f := newTest(t)
		if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); err != nil {
			t.Fatal(err)
		}
		want := []string{"check", "register", "start v1.1.0", "unregister v1.0.0", "start v1.0.0"}
		if !up {
			f.halt()
			want = []string{"check", "register", "start v1.1.0", "stop", "unregister v1.0.0"}
		}
		f.did, f.broken = nil, "start v1.1.0"
		if _, err := install(t, s, putPrograms(t, "v1.1.0", 1)); err == nil {
			t.Fatal("it did not fail")
		}
		if !slices.Equal(f.did, want) || f.up != up {
			t.Errorf("did %q, want %q; up %t", f.did, want, f.up)
		}
	}
}

// TestFailedStopLeavesNoMark: the daemon that is still there would end its programs the next time that it leaves.
func TestFailedStopLeavesNoMark(t *testing.T) {
	for _, stays := range []bool{true, false} {
		s, f := newTest(t)
		if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); err != nil {
			t.Fatal(err)
		}
		f.broken, f.stays = "stop", stays
		if err := s.Stop(t.Context(), true); err == nil {
			t.Error("it did not fail")
		}
		if marked := exists(s.paths.Stopped); marked == stays {
			t.Errorf("the daemon stays: %t, the mark: %t", stays, marked)
		}
	}
}

// TestUpgradeWhileItStarts: one that is not ready yet makes room for the new version too, and comes back where that fails.
func TestUpgradeWhileItStarts(t *testing.T) {
	for _, broken := range []string{"", "start v1.1.0"} {
		s, f := newTest(t)
		if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); err != nil {
			t.Fatal(err)
		}
		f.halt()
		f.did, f.state, f.broken = nil, "activating (start)", broken
		want := []string{"check", "register", "stop", "start v1.1.0"}
		if broken != "" {
			want = append(want, "unregister v1.0.0", "start v1.0.0")
		}
		if _, err := install(t, s, putPrograms(t, "v1.1.0", 1)); (err == nil) != (broken == "") || !slices.Equal(f.did, want) {
			t.Errorf("%v; did %q, want %q", err, f.did, want)
		}
	}
}

// TestAnotherVersionIsNoAnswer: a daemon that was there before must not pass for the one that was installed.
func TestAnotherVersionIsNoAnswer(t *testing.T) {
	s, _ := newTest(t)
	if _, err := install(t, s, putPrograms(t, "v1.0.0", 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*look)
	defer cancel()
	if err := s.answers(ctx, nil, "v1.1.0"); !errors.Is(err, task.Unavailable) {
		t.Errorf("%v, want that none answers", err)
	}
}

// TestOlderSchemaIsRefused: with the way back, and before anything has changed.
func TestOlderSchemaIsRefused(t *testing.T) {
	s, f := newTest(t)
	if _, err := install(t, s, putPrograms(t, "v1.0.0", 2)); err != nil {
		t.Fatal(err)
	}
	s.opts.Downgrade = true
	f.did = nil
	_, err := install(t, s, putPrograms(t, "v0.9.0", 1))
	if !errors.Is(err, task.FailedPrecondition) || !strings.Contains(task.AsError(err).Hint, "store.db.schema1.bak") {
		t.Errorf("%v, hint %q", err, task.AsError(err).Hint)
	}
	if s.home.version() != "v1.0.0" || slices.Contains(f.did, "register") {
		t.Errorf("version %s, did %v", s.home.version(), f.did)
	}
}

func TestSourceIsChecked(t *testing.T) {
	newTest(t) // skips where there are no scripts
	none, broken := t.TempDir(), putPrograms(t, "v1", 1)
	if err := os.WriteFile(filepath.Join(broken, "durabled"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	odd := putPrograms(t, "../../etc", 1)
	for _, dir := range []string{none, broken, odd} {
		if _, err := findSource(t.Context(), dir); !errors.Is(err, task.FailedPrecondition) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
