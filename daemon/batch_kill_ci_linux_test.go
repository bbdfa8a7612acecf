//go:build ci

package daemon_test

import (
	"testing"
	"time"
)

// TestCIBatchKills is TestBatchKills with 100,000 items, in batches of ten, and 20 kills.
func TestCIBatchKills(t *testing.T) { batchKills(t, 100_000, 10, 20, 20*time.Minute) }
