package proc

import (
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// bootGrain is what the boot's time is rounded to: the clock can be set while the ticks go on.
const bootGrain = int64(10 * time.Second)

// BootID returns the identity of this boot of the machine.
func BootID() string {
	boot := time.Now().Add(-windows.DurationSinceBoot()).UnixNano()
	return strconv.FormatInt((boot+bootGrain/2)/bootGrain, 10)
}

const stillActive = 259

// Start returns when a process began, "" if there is none of that number or it has ended.
func Start(pid int) string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer func() { _ = windows.CloseHandle(h) }()
	var code uint32
	if err := windows.GetExitCodeProcess(h, &code); err != nil || code != stillActive {
		return ""
	}
	return Created(h)
}

// Created returns when the process behind a handle began.
func Created(h windows.Handle) string {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return ""
	}
	return strconv.FormatInt(created.Nanoseconds(), 10)
}

// Members returns the program, if it lives, and its descendants as far as parents are still known. The holder's job
// object knows them all; this is for when there is no holder.
func (t Tree) Members() ([]Process, error) {
	snap, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(snap) }()
	parents := map[int]int{}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snap, &entry); err == nil; err = windows.Process32Next(snap, &entry) {
		parents[int(entry.ProcessID)] = int(entry.ParentProcessID)
	}
	var members []Process
	for pid := range parents {
		if start := Start(pid); start != "" && t.member(parents, pid) {
			members = append(members, Process{PID: pid, Start: start})
		}
	}
	return members, nil
}

func (t Tree) member(parents map[int]int, pid int) bool {
	for range len(parents) {
		if pid == t.Child.PID && pid > 1 {
			return Start(pid) == t.Child.Start
		}
		parent, ok := parents[pid]
		if !ok || parent <= 1 || Start(parent) > Start(pid) { // a number that was reused is younger than its child
			return false
		}
		pid = parent
	}
	return false
}

// Kill ends each process of the tree, and returns how many lived.
func (t Tree) Kill() (int, error) {
	members, err := t.Members()
	for _, p := range members {
		h, err := windows.OpenProcess(windows.PROCESS_TERMINATE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(p.PID))
		if err != nil {
			continue
		}
		if Created(h) == p.Start {
			_ = windows.TerminateProcess(h, 1)
		}
		_ = windows.CloseHandle(h)
	}
	return len(members), err
}
