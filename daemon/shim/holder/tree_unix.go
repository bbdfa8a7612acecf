//go:build unix

package holder

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/cgroup"
	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// tree is the program and all that it starts.
type tree struct {
	child protocol.Process
	gone  bool // the program was reaped: its number may be somebody else's
	group protocol.Group
}

// startTree runs the program, as the leader of a session of its own. The error says what was wrong with what.
func startTree(spec *protocol.Spec, f *files, _ *signals) (*tree, error) {
	if spec.Dir != "" {
		if err := unix.Access(spec.Dir, unix.X_OK); err != nil { // the error of the fork would not say whether it was this
			return nil, &os.PathError{Op: "chdir", Path: spec.Dir, Err: err}
		}
	}
	attr := &syscall.ProcAttr{
		Dir: spec.Dir, Env: spec.Env, Files: []uintptr{f.std[0].Fd(), f.std[1].Fd(), f.std[2].Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	}
	var pid int
	var err error
	if spec.Nice == 0 {
		pid, err = fork(spec, attr, f.group)
	} else {
		forked := make(chan struct{})
		go func() { // on a thread that ends with it: the niceness of a thread cannot be taken back
			defer close(forked)
			runtime.LockOSThread()
			if err = renice(spec.Nice); err != nil {
				err = errors.New("nice " + strconv.Itoa(spec.Nice) + ": " + err.Error())
				return
			}
			pid, err = fork(spec, attr, f.group)
		}()
		<-forked
	}
	if err != nil {
		return nil, err
	}
	return &tree{child: protocol.Process{PID: pid, Start: proc.Start(pid)}, group: spec.Group}, nil
}

func fork(spec *protocol.Spec, attr *syscall.ProcAttr, group *os.File) (int, error) {
	if into(attr.Sys, group) {
		if pid, err := syscall.ForkExec(spec.Path, spec.Args, attr); err == nil {
			return pid, nil
		}
		into(attr.Sys, nil) // a group that takes nobody is no reason not to run it; whatever else it was comes again
	}
	pid, err := syscall.ForkExec(spec.Path, spec.Args, attr)
	if err != nil {
		err = &os.PathError{Op: "exec", Path: spec.Path, Err: err}
	}
	return pid, err
}

func renice(by int) error {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	if runtime.GOOS == "linux" {
		now = 20 - now // what the system call returns there
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, now+by)
}

// reap takes note of all that has ended, and reports whether nothing is left of the tree.
func (t *tree) reap(h *holder) (empty bool) {
	for {
		var ws unix.WaitStatus
		var ru unix.Rusage
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, &ru)
		switch {
		case err == unix.EINTR:
		case err != nil: // ECHILD
			return !t.left()
		case pid == 0:
			return false
		case pid == t.child.PID && !t.gone:
			t.gone, h.ended = true, true
			h.exit.Stopped = h.stopping
			describe(&h.exit, ws, &ru)
		}
	}
}

// describe says how the program ended.
func describe(e *protocol.Exit, ws unix.WaitStatus, ru *unix.Rusage) {
	e.Ended = time.Now()
	if e.Code = ws.ExitStatus(); ws.Signaled() {
		e.CoreDumped = ws.CoreDump()
		if e.Signal = unix.SignalName(ws.Signal()); e.Signal == "" { // a real-time one
			e.Signal = "signal " + strconv.Itoa(int(ws.Signal()))
		}
	}
	e.UserTime, e.SystemTime = time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
	e.MaxRSS = ru.Maxrss
	if runtime.GOOS == "linux" { // in KiB there
		e.MaxRSS <<= 10
	}
}

func (t *tree) all() proc.Tree { return proc.Tree{Root: os.Getpid(), Group: t.group} }

// terminate asks each process to leave, once: many programs take a second SIGTERM for impatience. One that was
// stopped could not obey.
func (t *tree) terminate() {
	if _, err := t.all().Signal(unix.SIGTERM, unix.SIGCONT); err != nil && !t.gone {
		proc.KillGroup(t.child.PID, unix.SIGTERM)
	}
}

// killRounds is how often in a row a tree is looked through that forks while it is killed.
const killRounds = 8

// walkAfter is how often in a row a control group is killed before its tree is looked through all the same: one process that cannot die
// does not save those that have left the group.
const walkAfter = 16

// kill ends each process. It is called until none is left; times is how often it was. The program's group is often all there
// is: a look at every process of the machine comes only after that. It reports whether the kernel ends them all.
func (t *tree) kill(times int) (underWay bool) {
	grouped := cgroup.Kill(t.group) == nil
	if grouped && (times == 0 || times%walkAfter != 0 && cgroup.Populated(t.group)) {
		return true
	}
	if !t.gone {
		proc.KillGroup(t.child.PID, unix.SIGKILL)
		if times == 0 {
			return false
		}
	}
	for range killRounds {
		if n, err := t.all().Signal(unix.SIGKILL); n == 0 || err != nil {
			return false
		}
	}
	return false
}

// leavePatience is how long the kernel may take to see that a group is empty whose processes have all ended.
const leavePatience = 100 * time.Millisecond

// leave removes the control group. What the program may leave behind keeps it, for the daemon to remove.
func (t *tree) leave(kept bool) {
	patience := leavePatience
	if kept {
		patience = 0
	}
	_ = cgroup.Remove(t.group, patience)
}
