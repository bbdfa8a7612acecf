package proc

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// BootID returns the identity of this boot of the machine.
func BootID() string {
	tv, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return "unknown"
	}
	return strconv.FormatInt(tv.Sec, 10)
}

// zombie is p_stat of a process that has ended.
const zombie = 5

// Start returns when a process began, "" if there is none of that number or it has ended.
func Start(pid int) string {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(k.Proc.P_pid) != pid || k.Proc.P_stat == zombie {
		return ""
	}
	return started(k)
}

func started(k *unix.KinfoProc) string {
	tv := k.Proc.P_starttime
	return strconv.FormatInt(tv.Sec, 10) + "." + strconv.FormatInt(int64(tv.Usec), 10)
}

// Members returns the processes of the tree that live. Environments cannot be read here, but the session of a program
// that has not called setsid again is its own number.
func (t Tree) Members() ([]Process, error) {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	table := make(map[int]*unix.KinfoProc, len(all))
	for i := range all {
		table[int(all[i].Proc.P_pid)] = &all[i]
	}
	own := map[int]bool{}
	for pid := os.Getpid(); pid > 1 && !own[pid] && table[pid] != nil; pid = int(table[pid].Eproc.Ppid) {
		own[pid] = true
	}
	var members []Process
	for pid, k := range table {
		if pid > 1 && !own[pid] && k.Proc.P_stat != zombie && t.member(table, k) {
			members = append(members, Process{PID: pid, Start: started(k)})
		}
	}
	return members, nil
}

func (t Tree) member(table map[int]*unix.KinfoProc, k *unix.KinfoProc) bool {
	for range len(table) {
		pid := int(k.Proc.P_pid)
		if pid <= 1 {
			return false
		}
		if t.Child.PID > 1 && (pid == t.Child.PID && started(k) == t.Child.Start || int(k.Eproc.Pgid) == t.Child.PID) {
			return true
		}
		if t.Root != 0 && int(k.Eproc.Ppid) == t.Root {
			return true
		}
		if k = table[int(k.Eproc.Ppid)]; k == nil {
			return false
		}
	}
	return false
}

// Signal sends sigs to each process of the tree, one after the other, and returns how many live.
func (t Tree) Signal(sigs ...unix.Signal) (int, error) {
	members, err := t.Members()
	for _, p := range members {
		if p.PID > 1 && Start(p.PID) == p.Start {
			for _, sig := range sigs {
				_ = unix.Kill(p.PID, sig)
			}
		}
	}
	return len(members), err
}

// KillGroup signals a process group whose leader the caller has not reaped yet.
func KillGroup(pid int, sig unix.Signal) {
	if pid > 1 {
		_ = unix.Kill(-pid, sig)
	}
}
