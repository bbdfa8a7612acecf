package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// bin is the folder of the programs.
var bin string

func TestMain(m *testing.M) {
	dir, remove, err := sandboxtest.Build()
	if err != nil {
		panic(err)
	}
	bin = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		remove()
		os.Exit(status)
	}))
}

// report is what durablectl doctor --json prints.
type report struct {
	OK       bool
	Findings []Finding
}

// run runs durablectl in the sandbox, as somebody who has no hosts.
func run(t *testing.T, box *sandbox.Sandbox, args ...string) (stdout []byte, status int) {
	t.Helper()
	cmd, err := box.Command(t.Context(), "durablectl", args...)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "HOME="+box.Dir, "USERPROFILE="+box.Dir, "APPDATA="+box.Dir, "LOCALAPPDATA="+box.Dir, "XDG_CONFIG_HOME="+box.Dir, "SHELL=/bin/sh")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err = cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v: %s", args, err, &stderr)
	}
	return stdout, cmd.ProcessState.ExitCode()
}

// machine are the checks whose outcome is that of the machine that the test runs on: what is on its PATH, how slow its
// login shell is, how full its disk.
var machine = []string{"hosts", "environment", "disk", "clock"}

// look runs doctor, and wants these checks, and no others, to have that level; the rest is well.
func look(t *testing.T, box *sandbox.Sandbox, want map[string]Level) {
	t.Helper()
	out, status := run(t, box, "doctor", "--json")
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bad := false
	seen := map[string]bool{}
	for _, f := range r.Findings {
		level := want[f.Check]
		if level == "" {
			level = OK
		}
		if slices.Contains(machine, f.Check) {
			level = f.Level
		}
		if f.Level != level {
			t.Errorf("%s: %s, want %s: %s", f.Check, f.Level, level, f.Text)
		}
		if f.Level != OK && f.Remedy == "" {
			t.Errorf("%s: no remedy: %s", f.Check, f.Text)
		}
		bad = bad || f.Level == Failure
		seen[f.Check] = true
	}
	if len(seen) != 12 {
		t.Errorf("checks: %v", seen)
	}
	if r.OK == bad || (status == 1) != bad || status > 1 {
		t.Errorf("ok is %t, the status %d", r.OK, status)
	}
}

// TestDoctor: an installation from its first day, over what can happen to it.
func TestDoctor(t *testing.T) {
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	box, err := sandbox.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	look(t, box, nil)
	if _, err := os.Stat(box.Paths.Store); !os.IsNotExist(err) {
		t.Fatalf("doctor has started a daemon: %v", err)
	}
	if out, status := run(t, box, "run", "--wait", "--", sandboxtest.Program(bin, "durablectl"), "--help"); status != 0 {
		t.Fatalf("run: status %d: %s", status, out)
	}
	look(t, box, nil)

	if runtime.GOOS != "windows" {
		chmod(t, box.Paths.Socket, 0o666)
		look(t, box, map[string]Level{"socket": Failure})
		chmod(t, box.Paths.Socket, 0o600)
	}
	if err := os.WriteFile(box.Paths.Config, []byte("[policy]\ncommands = \"perhaps\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(t, box, map[string]Level{"config": Failure})
	if err := os.Remove(box.Paths.Config); err != nil {
		t.Fatal(err)
	}

	if _, status := run(t, box, "shutdown"); status != 0 {
		t.Fatalf("shutdown: status %d", status)
	}
	look(t, box, map[string]Level{"daemon": Warning})
	spoil(t, box.Paths.Store)
	look(t, box, map[string]Level{"daemon": Warning, "store": Failure})
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// spoil overwrites what is behind a store's first pages.
func spoil(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * os.Getpagesize(); i < min(len(text), 24*os.Getpagesize()); i++ {
		text[i] = 0xA5
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// daemonOf is a daemon of which only this is known.
type daemonOf struct {
	task.UnimplementedService
	info  task.Info
	err   error
	tasks []task.Task
}

func (d daemonOf) Info(context.Context) (task.Info, error) { return d.info, d.err }
func (d daemonOf) List(context.Context, task.ListQuery) (task.TaskList, error) {
	return task.TaskList{Tasks: d.tasks}, nil
}

// one finding of a check, of a daemon and a machine as told.
func finding(t *testing.T, o Options, check func(*visit) func(context.Context) []Finding) []Finding {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &visit{Options: o}
	if o.Client != nil {
		if info, err := o.Client.Info(t.Context()); err == nil {
			v.info = &info
		} else {
			v.absent = err
		}
	}
	return check(v)(t.Context())
}

func expect(t *testing.T, name string, got []Finding, level Level, text, remedy string) {
	t.Helper()
	if len(got) != 1 || got[0].Level != level || !strings.Contains(got[0].Text, text) || !strings.Contains(got[0].Remedy, remedy) {
		t.Errorf("%s: got %+v, want %s %q -> %q", name, got, level, text, remedy)
	}
}

func TestService(t *testing.T) {
	for name, c := range map[string]struct {
		s            Service
		err          error
		level        Level
		text, remedy string
	}{
		"none":    {s: Service{Manager: "systemd"}, level: Warning, text: "not installed", remedy: "durablectl service install"},
		"stopped": {s: Service{Installed: true, Manager: "systemd"}, level: Failure, text: "does not run", remedy: "durablectl service start"},
		"older": {s: Service{Manager: "systemd", Installed: true, Running: true, Lingers: true, AtBoot: true, Version: "0.0.1"}, level: Warning,
			text: "version 0.0.1", remedy: "durablectl service upgrade"},
		"newer": {s: Service{Manager: "systemd", Installed: true, Running: true, Lingers: true, AtBoot: true, Version: "9.0.0", Newer: true, Programs: "/lib/current"},
			level: Warning, text: "version 9.0.0", remedy: filepath.Join("/lib/current", "durablectl")},
		"machine": {s: Service{Manager: "systemd", Installed: true, System: true}, level: Failure, text: "does not run",
			remedy: "durablectl service start --system"},
		"package": {s: Service{Manager: "systemd", Installed: true, Running: true, Lingers: true, System: true, Package: true, Version: task.Version()},
			level: Warning, text: "by itself", remedy: "systemctl enable --now durable"},
		"no linger":  {s: Service{Manager: "systemd", Installed: true, Running: true}, level: Warning, text: "last login", remedy: "loginctl enable-linger"},
		"disabled":   {s: Service{Manager: "systemd", Installed: true, Running: true, Lingers: true}, level: Warning, text: "by itself", remedy: "durablectl service install"},
		"well":       {s: Service{Manager: "systemd", Installed: true, Running: true, Lingers: true, AtBoot: true, Version: task.Version()}, level: OK, text: "starts at boot"},
		"no manager": {level: OK, text: "no service manager"},
		"unknown":    {err: errors.New("no bus"), level: Failure, text: "no bus", remedy: "durablectl service status"},
	} {
		o := Options{Service: func(context.Context) (Service, error) { return c.s, c.err }}
		expect(t, name, finding(t, o, func(v *visit) func(context.Context) []Finding { return v.service }), c.level, c.text, c.remedy)
	}
	o := Options{Paths: socket.In(t.TempDir())}
	o.Paths.Home = true
	expect(t, "DURABLE_HOME", finding(t, o, func(v *visit) func(context.Context) []Finding { return v.service }), OK, "DURABLE_HOME", "")
}

func TestDaemonAndClock(t *testing.T) {
	daemon := func(v *visit) func(context.Context) []Finding { return v.daemon }
	clock := func(v *visit) func(context.Context) []Finding { return v.clock }
	disk := func(v *visit) func(context.Context) []Finding { return v.disk }
	o := Options{Client: daemonOf{info: task.Info{Version: "0.0.1"}}}
	expect(t, "older", finding(t, o, daemon), Warning, "version 0.0.1", "durablectl restart")
	o.Service = func(context.Context) (Service, error) { return Service{Installed: true, Version: "0.0.1"}, nil }
	expect(t, "an older service", finding(t, o, daemon), Warning, "version 0.0.1", "durablectl service upgrade") // a restart brings the same one back
	o.Client = daemonOf{info: task.Info{Version: task.Version(), Warnings: []string{"2 records were set aside: see quarantine"}}}
	expect(t, "warnings", finding(t, o, daemon), Warning, "2 records were set aside", "see quarantine")
	o.Client = daemonOf{err: task.Errorf(task.PermissionDenied, "socket: denied").WithHint("join the group")}
	expect(t, "denied", finding(t, o, daemon), Failure, "denied", "join the group")

	o.Client = daemonOf{tasks: []task.Task{{Number: 7, CreatedAt: time.Now().Add(time.Hour)}}}
	expect(t, "went back", finding(t, o, clock), Failure, "task 7 was made", "timedatectl")
	o.Now = func() time.Time { return time.Unix(0, 0) }
	expect(t, "1970", finding(t, o, clock), Failure, "1970", "timedatectl")

	o.Client = daemonOf{info: task.Info{Disk: task.Disk{Free: 1 << 20}, Paths: task.Paths{State: "/s"}}}
	expect(t, "full", finding(t, o, disk), Failure, "1.0 MiB free", "durablectl prune")
	o.Client = daemonOf{info: task.Info{Disk: task.Disk{Free: 200 << 20}}}
	expect(t, "low", finding(t, o, disk), Warning, "200 MiB", "durablectl prune")
}

func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	o := Options{Find: func(name string) (string, error) {
		if name == "durable-shim" {
			return "", task.Errorf(task.FailedPrecondition, "not found")
		}
		return filepath.Join(dir, name), nil
	}}
	got := finding(t, o, func(v *visit) func(context.Context) []Finding { return v.programs })
	missing := 0
	for _, f := range got {
		if f.Level != Failure || f.Remedy == "" {
			t.Errorf("%+v", f)
		}
		if strings.Contains(f.Text, "durable-shim") {
			missing++
		}
	}
	if missing != 1 || len(got) != 4 { // the others are there, it says, and do not run
		t.Errorf("%+v", got)
	}
}

func TestHosts(t *testing.T) {
	hosts := func(v *visit) func(context.Context) []Finding { return v.hosts }
	list := func(l ...Host) Options { return Options{Hosts: func() ([]Host, error) { return l, nil }} }
	gone := filepath.Join(t.TempDir(), "durable-mcp")
	expect(t, "none", finding(t, list(), hosts), OK, "no MCP host", "")
	expect(t, "one", finding(t, list(Host{Name: "zed", Title: "Zed", State: "no"}), hosts), Warning, "Zed does not know", "durablectl mcp add zed")
	expect(t, "two", finding(t, list(Host{Title: "Zed", State: "no"}, Host{Title: "Cursor", State: "no"}), hosts), Warning,
		"Zed, Cursor do not know", "durablectl mcp add --all")
	expect(t, "well", finding(t, list(Host{Title: "Zed", State: "yes"}), hosts), OK, "durable is known to Zed", "")
	expect(t, "gone", finding(t, list(Host{Name: "zed", Title: "Zed", State: "other", Command: gone}), hosts), Failure, gone, "durablectl mcp add zed")
	expect(t, "another", finding(t, list(Host{Name: "zed", Title: "Zed", State: "other", Command: os.Args[0]}), hosts), Warning, os.Args[0], "add zed")
	expect(t, "broken", finding(t, list(Host{Name: "zed", Title: "Zed", State: "unreadable", Error: "line 3"}), hosts), Failure, "line 3", "durablectl mcp print zed")
}
