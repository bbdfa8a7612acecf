package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU returns the processor time that the server has used so far, with its ended sessions.
func (s *Server) CPU() time.Duration {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	if cmd == nil || cmd.Process == nil {
		return 0
	}
	all := cpuOf(cmd.Process.Pid)
	for _, pid := range childrenOf(cmd.Process.Pid) {
		all += cpuOf(pid)
	}
	return all
}

// cpuOf is the time of a process and of its children that have ended.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // it has ended
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for i := 11; i < 15 && i < len(fields); i++ { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(fields[i], 10, 64) // numbers
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}
