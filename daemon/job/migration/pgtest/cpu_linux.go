package pgtest

import (
	"fmt"
	"os"
	"time"
)

// WatchCPU returns what stops watching and gives the processor time that the server has used meanwhile. It is read
// from time to time: what a session does in its last moments is lost.
func (s *Server) WatchCPU() func() time.Duration {
	s.mu.Lock()
	postmaster := s.cmd.Process.Pid
	s.mu.Unlock()
	before, now := map[int]time.Duration{}, map[int]time.Duration{}
	look := func(into map[int]time.Duration) {
		for _, pid := range childrenOf(postmaster) {
			if used, ok := ran(pid); ok {
				into[pid] = used
			}
		}
	}
	look(before)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				look(now)
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		<-stopped
		look(now)
		var all time.Duration
		for pid, used := range now {
			all += used - before[pid]
		}
		return all
	}
}

// ran returns how long a process has run: /proc/PID/stat counts ticks, of which many are missed on some machines.
func ran(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, false // it has ended
	}
	var ns int64
	_, err = fmt.Sscan(string(text), &ns)
	return time.Duration(ns), err == nil
}
