//go:build unix

package client_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// checkDetached wants pid to lead a session of its own.
func checkDetached(t *testing.T, pid int) {
	t.Helper()
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d %v, want %d", sid, err, pid)
	}
}
