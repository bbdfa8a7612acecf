package store

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain: the test binary is also the process that the crash tests kill.
func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		os.Exit(child(mode))
	}
	goleak.VerifyTestMain(m)
}
