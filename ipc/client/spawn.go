package client

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// lastWords bounds what is read of the log of a daemon that died, in bytes, and lastLines what is said of it.
const (
	lastWords = 4 << 10
	lastLines = 5
)

// spawned is a daemon that has just been started.
type spawned struct {
	paths  socket.Paths
	offset int64      // where its words begin in the log
	exited chan error // nil: a service manager looks after it
	// service: the installed one, whose log the service manager keeps.
	service bool
}

// spawn starts the program. Its standard streams are files: our own pipes to a host must not stay open
// in it, or the host waits for their end for ever.
func spawn(program string, p socket.Paths) (*spawned, error) {
	if program == "" {
		found, err := findDaemon()
		if err != nil {
			return nil, err
		}
		program = found
	}
	log, offset, err := openLog(p.Log)
	if err != nil {
		return nil, task.Errorf(task.Unavailable, "the daemon's log: %w", err)
	}
	defer log.Close() // the daemon has its own descriptor
	cmd, err := startProcess(func() *exec.Cmd {
		cmd := exec.Command(program, "run", "--lives", string(task.LivesUntilReboot))
		cmd.Dir = p.State // not the caller's folder, which must stay removable
		cmd.Env = environment(p)
		cmd.Stdout, cmd.Stderr = log, log
		return cmd
	})
	if err != nil {
		return nil, task.Errorf(task.Unavailable, "start %s: %w", program, err)
	}
	d := &spawned{paths: p, offset: offset, exited: make(chan error, 1)}
	// It reaps the daemon, which may outlive this process, and is the one goroutine here that nobody waits for.
	go func() { d.exited <- cmd.Wait() }()
	return d, nil
}

// environment names the socket where the caller has chosen one that the daemon would not find.
func environment(p socket.Paths) []string {
	env := os.Environ()
	if own, err := socket.DefaultPaths(); err == nil && own.Socket == p.Socket {
		return env
	}
	return append(env, socket.EnvSocket+"="+p.Socket)
}

// await returns when somebody listens, or says why nobody will.
func (d *spawned) await(ctx context.Context, timeout time.Duration) error {
	if timeout <= 0 {
		timeout = DefaultStartTimeout
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	delays := newDelays()
	for {
		if listens(ctx, d.paths.Socket) {
			return nil
		}
		next := time.NewTimer(delays.NextBackOff())
		select {
		case <-next.C:
			continue
		case err := <-d.exited:
			next.Stop()
			if listens(ctx, d.paths.Socket) {
				return nil // another daemon was faster
			}
			return d.died(err)
		case <-deadline.C:
			next.Stop()
			return d.explain(task.Errorf(task.Unavailable, "the daemon was started, but does not listen after %s", timeout))
		case <-ctx.Done():
			next.Stop()
			return given(ctx)
		}
	}
}

func (d *spawned) died(err error) error {
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	return d.explain(task.Errorf(task.Unavailable, "the daemon was started and ended at once (%s)", how))
}

// explain adds what the daemon said. Its last words are mostly an error and a hint, as programs print
// them: the hint is passed on as one, or the remedy is lost in the middle of a line.
func (d *spawned) explain(e *task.Error) error {
	if d.service {
		return e.WithHint("durablectl service logs tells why")
	}
	lines, hint := d.said(), ""
	if len(lines) == 0 {
		return e.WithHint("all of it is in %s", d.paths.Log)
	}
	e = e.WithDetail("log", slices.Clone(lines))
	if told, ok := strings.CutPrefix(lines[len(lines)-1], "hint: "); ok && len(lines) > 1 {
		lines, hint = lines[:len(lines)-1], told+"; "
	}
	e.Message += ": " + strings.TrimPrefix(strings.Join(lines, "; "), "durabled: error: ")
	return e.WithHint("%sall of it is in %s", hint, d.paths.Log)
}

// said returns the last lines that the daemon wrote.
func (d *spawned) said() []string {
	f, err := os.Open(d.paths.Log)
	if err != nil {
		return nil
	}
	defer f.Close()
	from := d.offset
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-lastWords)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, lastWords))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-lastLines):]
}
