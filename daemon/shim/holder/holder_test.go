package holder

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.signal_recv"), goleak.IgnoreTopFunction("os/signal.loop"))
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"-h"}, {"a", "b"}} {
		if got := Main(args); got != statusUsage {
			t.Errorf("%q: %d", args, got)
		}
	}
}
