package holder

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// tree is the program and all that it starts: what is in the job that we are in ourselves, so that no process is outside
// of it for even a moment. The job does not end with its last handle.
type tree struct {
	child protocol.Process
	state atomic.Pointer[os.ProcessState] // of the program, when it has ended
	job   windows.Handle
}

func startTree(spec *protocol.Spec, f *files, s *signals) (*tree, error) {
	t := &tree{}
	var err error
	if t.job, err = windows.CreateJobObject(nil, nil); err != nil {
		return nil, err
	}
	if err := windows.AssignProcessToJobObject(t.job, windows.CurrentProcess()); err != nil {
		return nil, err
	}
	flags := uint32(windows.CREATE_NEW_PROCESS_GROUP)
	switch {
	case spec.Nice >= 15:
		flags |= windows.IDLE_PRIORITY_CLASS
	case spec.Nice > 0:
		flags |= windows.BELOW_NORMAL_PRIORITY_CLASS
	}
	p, err := os.StartProcess(spec.Path, spec.Args, &os.ProcAttr{
		Dir: spec.Dir, Env: spec.Env, Files: f.std[:], Sys: &syscall.SysProcAttr{HideWindow: true, CreationFlags: flags},
	})
	if err != nil {
		return nil, err
	}
	t.child = protocol.Process{PID: p.Pid, Start: proc.Start(p.Pid)}
	go func() {
		state, _ := p.Wait()
		t.state.Store(state)
		s.child <- struct{}{}
	}()
	return t, nil
}

// reap takes note of the program's end, and reports whether nothing is left of the tree.
func (t *tree) reap(h *holder) (empty bool) {
	state := t.state.Load()
	if state == nil {
		return false
	}
	if !h.ended {
		h.ended, h.exit.Stopped = true, h.stopping
		h.exit.Code, h.exit.Ended = state.ExitCode(), time.Now()
		h.exit.UserTime, h.exit.SystemTime = state.UserTime(), state.SystemTime()
	}
	return len(t.others()) == 0
}

// maxListed bounds how many processes are ended in one turn.
const maxListed = 1024

// others lists the processes of the job but ourselves.
func (t *tree) others() []uint32 {
	var list struct {
		assigned, listed uint32
		pids             [maxListed]uintptr
	}
	// A list that is too short is an error, and filled as far as it goes.
	_ = windows.QueryInformationJobObject(t.job, windows.JobObjectBasicProcessIdList, uintptr(unsafe.Pointer(&list)), uint32(unsafe.Sizeof(list)), nil)
	var pids []uint32
	for _, pid := range list.pids[:min(list.listed, maxListed)] {
		if int(pid) != os.Getpid() {
			pids = append(pids, uint32(pid))
		}
	}
	return pids
}

// terminate: nothing here asks a process without a window or a console to leave; it has its grace to end by itself.
func (t *tree) terminate() {}

// kill ends each process of the job but ourselves, as long as it is in it.
func (t *tree) kill(int) (underWay bool) {
	for _, pid := range t.others() {
		p, err := windows.OpenProcess(windows.PROCESS_TERMINATE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
		if err != nil {
			continue
		}
		if t.has(pid) { // looked at again: the handle pins it
			_ = windows.TerminateProcess(p, 1)
		}
		_ = windows.CloseHandle(p)
	}
	return false
}

func (t *tree) has(pid uint32) bool {
	for _, other := range t.others() {
		if other == pid {
			return true
		}
	}
	return false
}

// leave has nothing to remove: the job goes with its last process.
func (t *tree) leave(bool) {}
