package shim_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

func signalByName(pid int, name string) error {
	return syscall.Kill(pid, unix.SignalNum("SIG"+strings.TrimPrefix(name, "SIG")))
}

// niceness is this process's own.
func niceness(t *testing.T) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n // so the kernel counts
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
