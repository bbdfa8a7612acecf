//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"time"

	"durable/daemon"
	"durable/ipc/task"
)

// underManager runs d: signals are all that a service manager needs here.
func underManager(ctx context.Context, _ daemon.Config, d *daemon.Daemon) error { return d.Run(ctx) }

// leftBy says with which status a daemon leaves. systemd restarts whatever is no deliberate stop; launchd whatever did not leave with 0.
func leftBy(req *task.ShutdownRequest, lives task.Lives) error {
	switch {
	case req == nil || lives != task.LivesService:
		return nil
	case runtime.GOOS == "linux" && !req.Restart:
		return exit(task.ExitStopped)
	case runtime.GOOS == "darwin" && req.Restart:
		return exit(task.ExitRestart)
	}
	return nil
}

// downPatience is how long systemd has to say whether the machine goes down.
const downPatience = 2 * time.Second

// goingDown returns a function that asks systemd whether the machine goes down, or the manager of the user whose service this is: what
// ends then ends for good, and so do all programs in a moment. Nobody else can be asked.
func goingDown(system bool) func(context.Context) bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil
	}
	scopes := [][]string{{"is-system-running"}}
	if !system && os.Getenv("INVOCATION_ID") != "" {
		scopes = append(scopes, []string{"--user", "is-system-running"})
	}
	return func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, downPatience)
		defer cancel()
		answers := make(chan bool, len(scopes))
		for _, args := range scopes {
			go func() {
				out, _ := exec.CommandContext(ctx, "systemctl", args...).Output() // its status is not 0 either while all is well
				answers <- isStopping(out)
			}()
		}
		for range scopes {
			if <-answers {
				return true
			}
		}
		return false
	}
}
