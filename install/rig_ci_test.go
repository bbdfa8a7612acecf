//go:build ci && linux

package install_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"durable/ipc/polltest"
	"durable/ipc/task"
)

// patience is how long anything may take on a slow machine.
const patience = time.Minute

// rig is a machine with a real systemd, on a throw-away overlay of this one's root folder.
type rig struct {
	t   *testing.T
	dir string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		leftOut(t, "a real systemd: needs root")
	}
	for _, program := range []string{"systemctl", "dbus-daemon", "nsenter", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			leftOut(t, "a real systemd: needs "+program)
		}
	}
	r := &rig{t, fmt.Sprintf("/run/durable-rig-%d", os.Getpid())}
	t.Cleanup(func() { r.do("down") })
	r.must(r.do("up"))
	return r
}

func leftOut(t *testing.T, what string) {
	t.Helper()
	t.Fatal("left out: " + what)
}

// do runs a verb of the rig and returns what it printed.
func (r *rig) do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "testdata/systemd-rig.sh", args...)
	cmd.Env = append(os.Environ(), "RIG="+r.dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

func (r *rig) must(out string, err error) string {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// pid is that of the machine's first process, as this one sees it.
func (r *rig) pid() string {
	b, err := os.ReadFile(filepath.Join(r.dir, "pid"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// build puts the programs into a folder of the rig, as two versions.
func (r *rig) build() {
	r.t.Helper()
	dir := r.t.TempDir()
	for _, v := range []struct{ version, packages string }{
		{"v1.0.0", "../cmd/durabled ../cmd/durablectl ../cmd/durable-mcp ../cmd/durable-shim"}, {"v1.1.0", "../cmd/durabled ../cmd/durablectl ../cmd/durable-mcp"},
	} {
		to := filepath.Join(dir, v.version) + "/"
		args := append([]string{"build", "-ldflags", "-X durable/ipc/task.version=" + v.version, "-o", to}, strings.Fields(v.packages)...)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			r.t.Fatalf("%v\n%s", err, out)
		}
		for _, name := range []string{"durabled", "durablectl", "durable-mcp", "durable-shim"} {
			from := to + name
			if _, err := os.Stat(from); err != nil {
				from = filepath.Join(dir, "v1.0.0", name) // unchanged from the version before
			}
			r.must(r.do("put", from, "/opt/"+v.version+"/"+name))
		}
	}
}

// scope is a service in the rig: the machine's, or a user's.
type scope struct {
	*rig
	t    *testing.T
	user string // "" is root, with the machine's service
	home string // where its tasks may write
	lib  string
}

func (r *rig) scopes(t *testing.T, name string) *scope {
	if name == "system" {
		return &scope{r, t, "", "/var/lib/durable", "/usr/local/lib/durable"}
	}
	home := "/home/" + name
	return &scope{r, t, name, home, home + "/.local/lib/durable"}
}

// run runs a command as the one who owns the service.
func (s *scope) run(args ...string) (string, error) {
	if s.user == "" {
		return s.do(append([]string{"sh"}, args...)...)
	}
	return s.do(append([]string{"user", s.user}, args...)...)
}

func (s *scope) ok(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("%v\n%s\n%s", err, out, s.journal())
	}
	return out
}

func (s *scope) journal() string {
	out, _ := s.do("sh", "journalctl", "--no-pager", "-o", "cat", "-n", "40", "_COMM=durabled", "+", "_COMM=systemd")
	return out
}

// service runs durablectl service of a version.
func (s *scope) service(version string, args ...string) string {
	s.t.Helper()
	args = append([]string{"/opt/" + version + "/durablectl", "service"}, args...)
	if s.user == "" {
		args = append(args, "--system")
	}
	return s.ok(args...)
}

func (s *scope) systemctl(args ...string) string {
	s.t.Helper()
	if s.user != "" {
		args = append([]string{"--user"}, args...)
	}
	return s.ok(append([]string{"systemctl"}, args...)...)
}

// ctl runs the installed durablectl.
func (s *scope) ctl(args ...string) string {
	s.t.Helper()
	return s.ok(append([]string{s.lib + "/current/durablectl"}, args...)...)
}

func (s *scope) info() (info task.Info, err error) {
	return info, s.get("/v1/info", &info)
}

// get asks the daemon over its socket. Nothing of ours is started for that.
func (s *scope) get(path string, into any) error {
	resp, err := s.dial(s.socket()).Get("http://durable" + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// checkpoints counts those that a task has made.
func (s *scope) checkpoints(number string) int {
	resp, err := s.dial(s.socket()).Get("http://durable/v1/events?after=" + string(task.CursorStart) + "&task=" + number)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return strings.Count(string(b), `"type":"checkpoint"`)
}

func (s *scope) socket() string {
	if s.user == "" {
		return "/run/durable/durable.sock"
	}
	return s.home + "/.local/state/durable/durable.sock"
}

func (s *scope) task(number string) (t task.Task) {
	s.t.Helper()
	if err := s.get("/v1/tasks/"+number, &t); err != nil {
		s.t.Fatalf("task %s: %v\n%s", number, err, s.journal())
	}
	return t
}

// until polls until f says that it is so.
func (s *scope) until(what string, f func() bool) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Log(s.journal())
		}
	}()
	polltest.True(s.t, patience, what, f)
}

// serving waits for a daemon other than before, and returns its number.
func (s *scope) serving(before int) int {
	s.t.Helper()
	pid := 0
	s.until("the daemon is back", func() bool {
		info, err := s.info()
		pid = info.PID
		return err == nil && pid != before
	})
	return pid
}

// at is a path in the rig as this process, which is root, can use it.
func (r *rig) at(path string) string { return "/proc/" + r.pid() + "/root" + path }

// dial returns a client of the socket at path in the rig, for as long as this boot lasts.
func (r *rig) dial(path string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, // each request has to find the door open
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.at(path))
		},
	}}
}
