package stdioproxy

import (
	"os"

	"golang.org/x/sys/windows"
)

// onParentExit calls exited when the parent process has ended.
func onParentExit(exited func()) error {
	const access = windows.SYNCHRONIZE | windows.PROCESS_QUERY_LIMITED_INFORMATION
	parent, err := windows.OpenProcess(access, false, uint32(os.Getppid()))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	older, err := startedBefore(parent, windows.CurrentProcess())
	if err != nil {
		_ = windows.CloseHandle(parent)
		return err
	}
	if !older { // Windows reuses numbers: this is not our parent, who must be gone
		_ = windows.CloseHandle(parent)
		exited()
		return nil
	}
	go func() {
		defer func() { _ = windows.CloseHandle(parent) }()
		_, _ = windows.WaitForSingleObject(parent, windows.INFINITE)
		exited()
	}()
	return nil
}

// startedBefore reports whether a was created no later than b.
func startedBefore(a, b windows.Handle) (bool, error) {
	var times [2]windows.Filetime
	for i, h := range []windows.Handle{a, b} {
		var exit, kernel, user windows.Filetime
		if err := windows.GetProcessTimes(h, &times[i], &exit, &kernel, &user); err != nil {
			return false, os.NewSyscallError("GetProcessTimes", err)
		}
	}
	return times[0].Nanoseconds() <= times[1].Nanoseconds(), nil
}
