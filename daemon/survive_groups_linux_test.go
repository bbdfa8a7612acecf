package daemon_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"durable/daemon/shim/cgroup/cgrouptest"
	"durable/ipc/client"
	"durable/ipc/polltest"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// startIn is start, in the control group whose folder is group, as a service manager starts a daemon.
func startIn(t testing.TB, group, dir string, env ...string) *process {
	t.Helper()
	folder, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	p := command(t, os.Args[0])
	p.cmd.Env = append(os.Environ(), envChild+"=1", socket.EnvHome+"="+dir, socket.EnvSocket+"=", "GORACE=atexit_sleep_ms=0")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(folder.Fd())}
	p.begin()
	return p
}

// untraceable is a program of which no look at the processes can catch everything: chains of processes without marks, parents or a common
// session, each link of which starts the next and leaves. $0 is the word that all have in their command lines. They end by themselves once
// the test's process is gone: a failed test must not leave them behind.
var untraceable = `trap "" TERM HUP
link='[ -d /proc/` + strconv.Itoa(os.Getpid()) + ` ] || exit; trap "" TERM HUP; sleep 0.03; setsid env -i PATH="$PATH" sh -c "$1" "$0" "$1" &'
for i in 1 2; do setsid env -i PATH="$PATH" sh -c "$link" "$0" "$link" & done
echo up; while :; do sleep 1000; done`

// TestControlGroups: where the daemon's control group was handed over to it, the whole tree of a command ends with it, whoever was killed
// before that, and no group stays; a daemon can be started again beside programs that run.
func TestControlGroups(t *testing.T) {
	for name, c := range map[string]struct{ holder, daemon bool }{
		"cancel":                     {},
		"daemon killed":              {daemon: true},
		"holder killed":              {holder: true},
		"holder killed, then daemon": {holder: true, daemon: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := cgrouptest.New(t)
			dir, word := shortDir(t), "group-"+unique()
			env := withShim(t, 8)
			p := startIn(t, group, dir, env...).up()
			conn := dial(dir, client.Options{Via: task.ViaCLI})
			defer closeClient(conn)
			made := submitCommand(t, conn, map[string]any{"command": []string{"/bin/sh", "-c", untraceable, word}, "cwd": "/", "grace": "100ms"})
			running := awaitTask(t, conn, made.ID, func(t task.Task) bool { return t.Phase == task.PhaseRunning })
			awaitOutput(t, conn, running, "up\n")
			if len(cgrouptest.Groups(group)) == 0 {
				t.Fatal("the program has no group")
			}
			if c.holder {
				if err := syscall.Kill(holder(t, dir, running), syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				awaitTask(t, conn, running.ID, func(t task.Task) bool { return t.Phase == task.PhaseOrphaned })
			}
			if c.daemon {
				p.kill()
				p = startIn(t, group, dir, env...).up()
				adopted(t, dir, 1)
			}
			cancel(t, conn, made.ID)
			nothingLeft(t, conn, made.ID, word)
			p.stop(dir)
			p = startIn(t, group, dir, env...).up()
			polltest.True(t, patience, "no group is left", func() bool { return len(cgrouptest.Groups(group)) == 0 })
			if b, err := os.ReadFile(filepath.Join(group, "cgroup.subtree_control")); err != nil || len(b) > 1 {
				t.Errorf("controllers are on: %q, %v", b, err)
			}
			p.stop(dir)
		})
	}
}
