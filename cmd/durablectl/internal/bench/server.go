package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// leaving is how long a server may take to go when it is told to.
const leaving = 10 * time.Second

// server is a process that serves a socket: a daemon, or the bare handler.
type server struct {
	name string
	// real: it is a daemon, with tasks; otherwise the bare handler.
	real   bool
	cmd    *exec.Cmd
	log    *os.File
	exited chan struct{}
	socket string
	// svc is for what is not measured, and for the watcher.
	svc *client.Client
}

// startDaemon starts a daemon with a new store.
func startDaemon(ctx context.Context, box *sandbox.Sandbox, name string) (*server, error) {
	return start(ctx, box, name, true, "run")
}

// startFloor starts the bare handler.
func startFloor(ctx context.Context, box *sandbox.Sandbox) (*server, error) {
	return start(ctx, box, "floor", false, "bench-floor", box.Path("floor"))
}

func start(ctx context.Context, box *sandbox.Sandbox, name string, real bool, args ...string) (*server, error) {
	paths := socket.In(box.Path(name))
	if err := os.Mkdir(paths.State, 0o700); err != nil {
		return nil, err
	}
	cmd, err := box.Command(context.WithoutCancel(ctx), "durabled", args...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, socket.EnvHome+"="+paths.State)
	log, err := os.Create(filepath.Join(box.Dir, name+".log"))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	s := &server{name: name, real: real, cmd: cmd, log: log, socket: paths.Socket, exited: make(chan struct{})}
	s.svc = client.New(client.Options{Socket: s.socket, Name: "durablectl bench"})
	if err := cmd.Start(); err != nil {
		_ = log.Close()
		return nil, task.Errorf(task.FailedPrecondition, "start durabled: %w", err)
	}
	go func() {
		_ = cmd.Wait() // how it ends is told by its log
		close(s.exited)
	}()
	if err := s.listens(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// listens returns when the server does, or says why it will not.
func (s *server) listens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, client.DefaultStartTimeout)
	defer cancel()
	for {
		if conn, err := socket.Dial(ctx, s.socket); err == nil {
			return conn.Close()
		}
		next := time.NewTimer(5 * time.Millisecond)
		select {
		case <-next.C:
			continue
		case <-s.exited:
		case <-ctx.Done():
		}
		next.Stop()
		said, _ := os.ReadFile(s.log.Name())
		return task.Errorf(task.Unavailable, "durabled (%s) does not listen: %s", s.name, strings.TrimSpace(string(said)))
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the process. Its store is thrown away: it need not take its time.
func (s *server) stop() {
	_ = s.svc.Close()
	_ = s.cmd.Process.Kill()
	select {
	case <-s.exited:
	case <-time.After(leaving):
	}
	_ = s.log.Close()
}

// hold keeps new tasks from being started; they are accepted.
func (s *server) hold(ctx context.Context) error {
	_, err := s.svc.Drain(ctx, task.DrainRequest{})
	return err
}

// submitted is how many tasks the daemon says it has accepted.
func (s *server) submitted(ctx context.Context) (int, error) {
	st, err := s.svc.Stats(ctx)
	return int(st.Submitted), err
}
