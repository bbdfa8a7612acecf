package client

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// unitName is that of the installed service.
const unitName = "durable.service"

// startByManager asks the user's systemd. It is found by its folder: hosts launch their servers without the variables that name it.
func startByManager(ctx context.Context, program string, p socket.Paths) (*spawned, error) {
	folder := os.Getenv("XDG_RUNTIME_DIR")
	if folder == "" {
		folder = fmt.Sprintf("/run/user/%d", os.Getuid())
	}
	if !there(filepath.Join(folder, "systemd", "private")) {
		return nil, nil
	}
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+folder)
	if installed() {
		if d := startInstalled(ctx, p, env, "systemctl", "--user", "start", unitName); d != nil {
			return d, nil
		}
	}
	return startTransient(ctx, program, p, env)
}

func installed() bool {
	home, _ := os.UserHomeDir()
	for _, dir := range []string{filepath.Join(home, ".config/systemd/user"), "/etc/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user"} {
		if there(filepath.Join(dir, unitName)) {
			return true
		}
	}
	return false
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// startTransient starts a unit that is gone when the daemon is. Its name is new each time: while programs of an earlier daemon live on
// in the unit of that, its name is taken.
func startTransient(ctx context.Context, program string, p socket.Paths, env []string) (*spawned, error) {
	run, err := exec.LookPath("systemd-run")
	if err != nil {
		return nil, nil
	}
	if program == "" {
		if program, err = findDaemon(); err != nil {
			return nil, err
		}
	}
	log, offset, err := openLog(p.Log)
	if err != nil {
		return nil, task.Errorf(task.Unavailable, "the daemon's log: %w", err)
	}
	log.Close() // systemd opens it again
	d := &spawned{paths: p, offset: offset}
	cmd := exec.CommandContext(ctx, run, transient(program, p, lingers(), time.Now())...)
	cmd.Env, cmd.Dir = env, "/"
	err = cmd.Run()
	switch {
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return nil, given(ctx)
	case len(d.said()) > 0: // it ran, and ended
		return nil, d.died(err)
	}
	return nil, nil
}

// transient returns the arguments of systemd-run. It returns when the daemon says that it is ready, or has ended.
func transient(program string, p socket.Paths, lingers bool, now time.Time) []string {
	lives := task.LivesUntilLogout
	if lingers {
		lives = task.LivesUntilReboot
	}
	args := []string{"--user", "--quiet", "--collect", "--service-type=notify", fmt.Sprintf("--unit=durable-auto-%d", now.UnixMilli())}
	for _, property := range []string{
		"Description=durable: background jobs", "KillMode=process", "Restart=on-failure", "OOMPolicy=continue", "Delegate=yes", "TasksMax=infinity",
		"WorkingDirectory=" + p.State, "StandardOutput=append:" + p.Log, "StandardError=append:" + p.Log,
	} {
		args = append(args, "--property="+property)
	}
	return append(args, "--", program, "run", "--lives", string(lives))
}

// lingers reports whether this user's systemd outlives his sessions.
func lingers() bool {
	u, err := user.Current()
	return err == nil && there("/var/lib/systemd/linger/"+u.Username)
}
