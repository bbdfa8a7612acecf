package shim_test

import (
	"path/filepath"
	"testing"

	"durable/daemon/shim"
)

// newSpare returns one that is empty, and is again at the end of the test.
func newSpare(t testing.TB) *shim.Spare {
	s := &shim.Spare{Dir: filepath.Join(t.TempDir(), "spare")}
	t.Cleanup(s.Close)
	return s
}
