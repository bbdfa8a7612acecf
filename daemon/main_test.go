package daemon_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon"
	"durable/daemon/job"
	"durable/daemon/job/noop"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// The test binary is also the daemon that the tests kill: with envChild set it runs daemon.New(...).Run in
// the folder that DURABLE_HOME names, and no test.
const (
	envChild = "DURABLE_TEST_DAEMON"
	// envKill is "POINT:DELAY": the process sends itself a SIGKILL at the first call of that hook point
	// that comes later than DELAY after its start.
	envKill = "DURABLE_TEST_KILL"
	// envSlots is how many attempts run at once; without it testSlots.
	envSlots = "DURABLE_TEST_SLOTS"
	// envStopGrace is how long attempts have to return when the daemon leaves; without it 5 s.
	envStopGrace = "DURABLE_TEST_STOP_GRACE"
)

// waitsForEver makes a daemon that leaves wait for its attempts for longer than any test waits for the daemon.
const waitsForEver = envStopGrace + "=1h"

const testSlots = 24

// exitOrphan is the status of a child whose test has gone.
const exitOrphan = 86

func TestMain(m *testing.M) {
	// Daemons by the hundred must not run the profile of whoever tests.
	if err := os.Setenv("SHELL", "/usr/sbin/nologin"); err != nil {
		panic(err)
	}
	if os.Getenv(envChild) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, fn := range atExit {
			fn()
		}
		os.Exit(code)
	}))
}

// atExit is what several tests share and the last one leaves.
var atExit []func()

// child is the daemon's main. It says "ready" on stdout when the socket takes requests, and goes when its
// stdin ends, so that it does not outlive a test that was killed.
func child() int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(exitOrphan)
	}()
	slots, err := strconv.Atoi(cmp.Or(os.Getenv(envSlots), strconv.Itoa(testSlots)))
	if err != nil {
		panic(envSlots + ": " + err.Error())
	}
	grace, err := time.ParseDuration(cmp.Or(os.Getenv(envStopGrace), "5s"))
	if err != nil {
		panic(envStopGrace + ": " + err.Error())
	}
	paths, err := socket.DefaultPaths()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = daemon.New(daemon.Config{
			Paths: paths, Slots: slots, Kinds: append(daemon.Kinds(), stubborn{}), Hook: killAt(os.Getenv(envKill)), StopGrace: grace,
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
			Ready:  func() { fmt.Println("ready") },
		}).Run(ctx)
	}
	if err == nil {
		return 0
	}
	e := task.AsError(err)
	fmt.Fprintf(os.Stderr, "durabled: error: %v\n", err)
	if e.Hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", e.Hint)
	}
	return max(1, e.Code.ExitStatus())
}

// stubborn is a no-op that is deaf to its context: it goes on to its end, and succeeds, after it was cancelled. So there
// is time to kill the daemon between a cancel and the end of the attempt, and the cancel has something to overrule.
type stubborn struct{ noop.Kind }

const stubbornName = "stubborn"

func (stubborn) Describe() task.KindInfo {
	info := noop.Kind{}.Describe()
	info.Name = stubbornName
	return info
}

func (stubborn) Run(ctx context.Context, j *job.Context) (any, error) {
	return noop.Kind{}.Run(context.WithoutCancel(ctx), j)
}

// killAt returns the hook that arm describes; nil for none.
func killAt(arm string) func(string) {
	if arm == "" {
		return nil
	}
	point, after, _ := strings.Cut(arm, ":")
	ms, err := strconv.Atoi(after)
	if err != nil {
		panic(envKill + ": " + err.Error())
	}
	began := time.Now()
	var dying atomic.Bool
	return func(at string) {
		if at != point || time.Since(began) < time.Duration(ms)*time.Millisecond {
			return
		}
		if dying.CompareAndSwap(false, true) {
			fmt.Println("killed at " + point)
			killSelf()
		}
		select {} // nothing after the point may happen
	}
}

// killSelf is SIGKILL, on Windows TerminateProcess: no deferred call runs, nothing is flushed.
func killSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
}
