//go:build unix

package socket

import "testing"

// SetSystemSocket moves the system service's socket for one test.
func SetSystemSocket(t *testing.T, path string) {
	old := systemSocket
	systemSocket = path
	t.Cleanup(func() { systemSocket = old })
}
