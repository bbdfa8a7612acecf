package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"durable/daemon/shim/cgroup/cgrouptest"
	"durable/ipc/polltest"
)

// The test binary is also the process that asks about its own group.
const envRole = "CGROUP_TEST_ROLE"

// noSleep: a child that was built with -race would sleep a second at its end.
const noSleep = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	switch role, arg, _ := strings.Cut(os.Getenv(envRole), "="); role {
	case "delegated":
		_, _ = os.Stdout.WriteString(Delegated())
	case "inside":
		g, _ := Find(filepath.Dir(arg), filepath.Base(arg))
		if err := Kill(g); errors.Is(err, errInside) && len(PIDs(g)) == 0 && Populated(g) {
			_, _ = os.Stdout.WriteString("left alone")
		}
	case "starts":
		g, err := Make(arg, "new")
		dir, e := Open(g)
		if errors.Join(err, e) != nil {
			os.Exit(1)
		}
		cmd := exec.Command("/bin/sh", "-c", "exit 7")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
		_ = cmd.Run()
		_ = Remove(g, time.Second)
		fmt.Printf("%t %s", cmd.ProcessState.ExitCode() == 7, Delegated())
	default:
		os.Exit(m.Run())
	}
}

func TestFolders(t *testing.T) {
	const unified = "25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	for _, c := range []struct {
		own, mounts, want string
	}{
		{"0::/system.slice/durable.service\n", unified, "/sys/fs/cgroup/system.slice/durable.service"},
		{"0::/\n", unified, "/sys/fs/cgroup"},
		{"1:cpu:/x\n0::/a\n", "30 1 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n31 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified/a"},
		{"0::/a/b\n", `9 1 0:28 /a /m\040nt rw - cgroup2 none rw` + "\n", "/m nt/b"},
		{"0::/ab\n", "9 1 0:28 /a /mnt rw - cgroup2 none rw\n", ""},
		{"0::/a\n", "9 1 0:28 / /mnt rw - cgroup cgroup rw\n", ""},
		{"0::/../b\n", unified, ""},
		{"0::/a (deleted)\n", unified, ""},
		{"1:cpu:/x\n", unified, ""},
		{"", "", ""},
	} {
		if got := strings.Join(folders(c.own, c.mounts), " "); got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.own, c.mounts, got, c.want)
		}
	}
}

func FuzzFolders(f *testing.F) {
	f.Add("0::/a\n", `9 1 0:28 /a /m\040nt\ rw - cgroup2 none rw`)
	f.Add("0::", "- cgroup2 ")
	f.Fuzz(func(t *testing.T, own, mounts string) {
		for _, dir := range folders(own, mounts) {
			if strings.HasSuffix(dir, "/") {
				t.Errorf("%q, %q: %q", own, mounts, dir)
			}
		}
	})
}

// run returns a program that starts in a group.
func run(t *testing.T, g Group, name string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := Open(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	return cmd
}

func TestDelegated(t *testing.T) {
	dir := cgrouptest.New(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := Make(dir, "inner")
	if err != nil {
		t.Fatal(err)
	}
	outer, _ := Find(filepath.Dir(dir), filepath.Base(dir))
	for g, want := range map[Group]string{outer: dir, inner: ""} { // the mark is of one group, not of what lies below
		cmd := run(t, g, self)
		cmd.Env = []string{noSleep, envRole + "=delegated"}
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%s: got %q, %v; want %q", g.Path, out, err, want)
		}
	}
	cmd := run(t, inner, self)
	cmd.Env = []string{noSleep, envRole + "=inside=" + inner.Path}
	if out, err := cmd.Output(); err != nil || string(out) != "left alone" {
		t.Errorf("a caller in the group: %q, %v", out, err)
	}
}

// TestDelegatedAfterKill: a group that was killed once is of no use where the kernel kills what is started from it, and else it is.
func TestDelegatedAfterKill(t *testing.T) {
	dir := cgrouptest.New(t)
	outer, _ := Find(filepath.Dir(dir), filepath.Base(dir))
	if err := Kill(outer); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first one leaves nothing behind
		cmd := exec.Command("/bin/sh", "-c", `echo $$ >"$1/cgroup.procs" && exec "$2"`, "sh", dir, self)
		cmd.Env = []string{noSleep, envRole + "=starts=" + dir}
		out, err := cmd.Output()
		starts, delegated, _ := strings.Cut(string(out), " ")
		if err != nil || starts != "true" && starts != "false" || (starts == "true") != (delegated == dir) {
			t.Errorf("a program starts in a new group: %s, and delegated is %q, %v", starts, delegated, err)
		}
	}
}

// TestKillAndRemove: everything in the group and below it, wherever it has gone meanwhile, and nobody else.
func TestKillAndRemove(t *testing.T) {
	base := cgrouptest.New(t)
	g, err := Make(base, "durable-a.1")
	if err != nil {
		t.Fatal(err)
	}
	script := `mkdir -p "$1/nested/deep" "$1/empty"; (setsid sh -c 'echo $$ > "$1/nested/deep/cgroup.procs"; exec sleep 1000' sh "$1" &)
		setsid sleep 1000 & trap "" TERM; while :; do sleep 1000; done`
	cmd := run(t, g, "/bin/sh", "-c", script, "sh", g.Path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	polltest.True(t, time.Minute, "4 processes in two groups", func() bool {
		deep, ok := Find(base, "durable-a.1/nested/deep")
		return len(PIDs(g)) == 4 && ok && len(PIDs(deep)) == 1
	})
	if !Populated(g) {
		t.Error("it is said to be empty")
	}
	other := Group{Path: g.Path, ID: g.ID + 1}
	if err := Kill(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another group of that name: %v", err)
	}
	if err := Kill(Group{}); err == nil {
		t.Error("no group was killed")
	}
	if err := Kill(Group{Path: "/tmp", ID: 1}); err == nil || len(PIDs(Group{Path: "/tmp", ID: 1})) > 0 {
		t.Error("a folder is no control group")
	}
	if err := Remove(g, 0); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("removed with processes in it: %v", err)
	}
	Sweep(base, "durable-")
	if _, ok := Find(base, "durable-a.1/empty"); !ok {
		t.Error("a group that its program has made, and may be about to use, was removed")
	}
	if _, err := Make(base, "durable-a.1"); err == nil {
		t.Error("one with processes was made again")
	}
	if err := Kill(g); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	polltest.True(t, time.Minute, "it is empty", func() bool { return !Populated(g) })
	if err := Remove(g, time.Minute); err != nil {
		t.Error(err)
	}
	if err := Remove(g, 0); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if left := cgrouptest.Groups(base); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestSweep: what is ours and empty goes.
func TestSweep(t *testing.T) {
	base := cgrouptest.New(t)
	for _, name := range []string{"durable-a.1", "durable-a.1/b", "durable-b.1", "other"} {
		if _, err := Make(base, name); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(base, "durable-")
	if left := cgrouptest.Groups(base); !slices.Equal(left, []string{"other"}) {
		t.Errorf("%v are left", left)
	}
	first, _ := Find(base, "other")
	second, err := Make(base, "other") // an empty one is made anew
	if err != nil || second.ID == first.ID {
		t.Errorf("got %+v after %+v, %v", second, first, err)
	}
}
