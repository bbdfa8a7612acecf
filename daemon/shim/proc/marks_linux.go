package proc

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxEnv bounds what is read of an environment, in bytes.
	maxEnv = 256 << 10
	// execWaits bounds how often one look at the processes waits execPause for some that are in the middle of an exec, which takes less than a
	// millisecond of processor time, and is a few more where others have the processors.
	execWaits, execPause = 200, 500 * time.Microsecond
	// kernelThread is PF_KTHREAD of the kernel's sched.h.
	kernelThread = 0x00200000
)

// env is what a process has for an environment.
type env int

const (
	envNever env = iota
	envEmpty     // as it seems
	envSome      // or it will have
)

// envOf says what is known of the environment of a process from the fields of /proc/PID/stat from the third one on, the state. It lies from
// the 50th (env_start) to the 51st (env_end). In the middle of an exec, for an instant, both are 0, and then, for a shorter one, they are the
// same. Linux before 3.5 does not name them, and neither does it those of a process that the caller may not read.
func envOf(f []string) env {
	const flags, envStart, envEnd = 9 - 3, 50 - 3, 51 - 3
	set, err := strconv.ParseUint(f[flags], 10, 64)
	switch {
	case err != nil || len(f) <= envEnd || set&kernelThread != 0:
		return envNever
	case f[envEnd] != "0" && f[envStart] == f[envEnd]:
		return envEmpty
	}
	return envSome
}

// emptyLooks is how many looks have to find an environment empty.
const emptyLooks = 3

// marked reports whether the environment of a process has all marks of the tree. One that is in the middle of an exec has none for an
// instant, which is waited for: it would be taken for a stranger.
func (s *scan) marked(pid int) bool {
	if len(s.t.Marks) == 0 {
		return false
	}
	if s.env == nil {
		s.env = make([]byte, maxEnv) // for one read of all: between two it can become the environment of another program
	}
	pause := unix.NsecToTimespec(execPause.Nanoseconds())
	for empty := 0; ; s.waits++ {
		vars, ok := read("/proc/"+strconv.Itoa(pid)+"/environ", s.env)
		if !ok { // of another user, or gone
			return false
		}
		if len(vars) > 0 {
			return hasAll(vars, s.t.Marks)
		}
		st, ok := look(pid)
		if st.env == envEmpty {
			empty++
		}
		if !ok || st.dead || st.env == envNever || empty == emptyLooks || s.waits == execWaits {
			return false
		}
		_ = unix.Nanosleep(&pause, nil) // in the processes' time, which is no test's
	}
}

// hasAll reports whether an environment, whose variables end with a NUL, has all marks.
func hasAll(vars []byte, marks []string) bool {
	text := "\x00" + string(vars) + "\x00"
	for _, m := range marks {
		if !strings.Contains(text, "\x00"+m+"\x00") {
			return false
		}
	}
	return true
}
