package bench

import (
	"bytes"
	"fmt"
	"os"
)

// rssAnon returns the memory of a process that is its own, in bytes: without the pages of mapped files, which are the
// store's and the kernel's to drop.
func rssAnon(pid int) (*int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, fmt.Errorf("memory of the daemon: %w", err)
	}
	for line := range bytes.Lines(b) {
		var kib int64
		if n, _ := fmt.Sscanf(string(line), "RssAnon: %d kB", &kib); n == 1 {
			return new(kib << 10), nil
		}
	}
	return nil, fmt.Errorf("memory of the daemon: no RssAnon in /proc/%d/status", pid)
}
