package shim_test

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

func signalByName(pid int, name string) error {
	return syscall.Kill(pid, unix.SignalNum("SIG"+strings.TrimPrefix(name, "SIG")))
}

const envRole = "DURABLE_TEST_ROLE"

// role is what the test binary does as another process.
func role() int {
	switch os.Getenv(envRole) {
	case "daemon":
		return daemonRole()
	}
	return 2
}

func bytesReader(b []byte) *strings.Reader { return strings.NewReader(string(b)) }

// splitStat returns the fields of /proc/PID/stat from the state on.
func splitStat(line string) []string {
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) < 2 {
		return []string{"", ""}
	}
	return f
}
