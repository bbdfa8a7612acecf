package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"durable/daemon/config"
	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/daemon/logfile/watch"
	"durable/daemon/notify"
	"durable/daemon/shim"
	"durable/daemon/store"
	"durable/daemon/web"
	"durable/ipc/localapi"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// Config is what a Daemon is made of.
type Config struct {
	Paths socket.Paths
	// Kinds are what it can run besides commands; nil is [Kinds].
	Kinds []job.Kind
	// Template makes a job kind of one that the user has defined; nil is command.NewTemplate.
	Template func(k config.Kind) (job.Kind, error)
	// Reload makes the daemon read its configuration anew with each value that it gives; nil: only a client does.
	Reload <-chan struct{}
	// Slots is how many attempts run at once; 0 is engine.DefaultSlots.
	Slots int
	// StopGrace is how long attempts have to return when the daemon leaves; 0 is the engine's default.
	StopGrace time.Duration
	// HTTP is the address to serve Surface at, and who may come in; without an address, what the configuration says.
	HTTP config.HTTP
	// Surface makes what is served there, on the daemon's own tasks; nil: nothing is.
	Surface func(svc task.Service) Surface
	// Desktop shows there that a task has ended; nil is notify.Desktop.
	Desktop func(context.Context, notify.Note) error
	Lives   task.Lives
	Logger  *slog.Logger
	// Hook is called at named points of engine and store, for crash tests; nil in production.
	Hook func(point string)
	// Ready, if set, is called once, when the socket takes requests.
	Ready func()
	// Listener is a socket at Paths.Socket that is open already: the service manager's. Nil: the daemon opens its own.
	Listener net.Listener
	// Notify tells the service manager how the daemon is doing, in the words of sd_notify(3); nil: there is none.
	Notify func(state string)
	// GoingDown says whether what has ended Run's context ends the machine too, or the session; nil: nobody knows.
	GoingDown func(ctx context.Context) bool
}

// Daemon runs once.
type Daemon struct {
	cfg      Config
	log      *slog.Logger
	shutdown chan task.ShutdownRequest // capacity 1
	asked    atomic.Pointer[task.ShutdownRequest]
	news     chan struct{}  // capacity 1: the store has changed
	limits   command.Limits // of user-defined kinds: they outlive a reload
	spare    shim.Spare     // the holder of the next command
}

// shutdownGrace is how long requests that are under way have, after the engine has ended.
const shutdownGrace = 2 * time.Second

// New returns a Daemon that does nothing until Run.
func New(cfg Config) *Daemon {
	if cfg.Kinds == nil {
		cfg.Kinds = Kinds()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Lives == "" {
		cfg.Lives = task.LivesForeground
	}
	return &Daemon{cfg: cfg, log: cfg.Logger, shutdown: make(chan task.ShutdownRequest, 1), news: make(chan struct{}, 1)}
}

// Asked returns the request with which a client made the daemon leave; nil: none did. To be called after Run.
func (d *Daemon) Asked() *task.ShutdownRequest { return d.asked.Load() }

// Run does the daemon's whole life and returns when it is over: nil after a stop that was asked for, by
// ctx or by a client; an error if it could not start or must not go on.
func (d *Daemon) Run(ctx context.Context) (err error) {
	paths := d.cfg.Paths
	if err := paths.Check(); err != nil {
		return err
	}
	if err := prepareState(paths.State); err != nil {
		return err
	}
	lock, err := d.takeState(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := os.Remove(paths.Stopped); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the mark of a deliberate stop: %w", err)
	}
	var committed atomic.Pointer[engine.Engine] // set below; the store commits before that only when it migrates
	st, err := store.Open(store.Options{
		Dir: paths.State, Logger: d.log, Hook: d.cfg.Hook,
		OnCommit: func() {
			if eng := committed.Load(); eng != nil {
				eng.Committed()
				d.changed()
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() {
		if closing := st.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("close store: %w", closing))
		}
	}()
	watcher := watch.New(d.log)
	defer watcher.Close()
	defer d.spare.Close()
	set := d.settings(watcher)
	defer set.env.Close()
	eng := d.engine(st, set, watcher)
	committed.Store(eng)
	door, err := d.openDoor(ctx, set)
	if err != nil {
		return err
	}
	if door != nil {
		defer door.Close(ctx)
	}
	if err := eng.Recover(ctx); err != nil {
		return err
	}
	set.tellKinds(ctx, eng)
	quiet, err := d.tellDesktop(ctx, eng, set)
	if err != nil {
		return err
	}
	defer quiet()
	return d.serve(ctx, eng, door)
}

func (d *Daemon) engine(st *store.Store, set *settings, watcher *watch.Watcher) *engine.Engine {
	host, _ := os.Hostname() // a name for people; none is no reason not to start
	makeTasks(d.cfg.Paths.Tasks)
	return engine.New(engine.Config{
		Store: st, Kinds: set.start(), TasksDir: d.cfg.Paths.Tasks, Slots: d.cfg.Slots,
		StopGrace: d.cfg.StopGrace, Host: host, Logger: d.log, Hook: d.cfg.Hook, Watcher: watcher,
		Shared: d.cfg.Paths.System,
		Policy: set.policy, Retention: set.retention, Reload: set.reload, Warnings: set.warn,
		Identity: engine.Identity{Version: task.Version(), Lives: d.cfg.Lives, Paths: task.Paths{
			Socket: d.cfg.Paths.Socket, State: d.cfg.Paths.State, Store: d.cfg.Paths.Store, Config: d.cfg.Paths.Config,
		}},
		Shutdown: func(req task.ShutdownRequest) {
			select {
			case d.shutdown <- req:
			default: // on its way out already
			}
		},
	})
}

// serve takes requests and runs the engine until it is time to leave.
func (d *Daemon) serve(ctx context.Context, eng *engine.Engine, door *web.Door) error {
	listener, err := d.listen()
	if err != nil {
		return err
	}
	options := localapi.Options{Log: d.log, Metrics: metricsHandler(eng)}
	if d.cfg.Paths.System {
		options.Admit = func(task.Caller) error { return nil } // the socket's mode has chosen: its user, its group, root
	}
	server := localapi.New(eng, options).Server()
	traffic := watchTraffic(server)
	d.log.Info("serving", "socket", d.cfg.Paths.Socket, "pid", os.Getpid(), "version", task.Version())

	group, running := errgroup.WithContext(ctx)
	leave, stop := context.WithCancel(running)
	defer stop()
	ended := make(chan struct{})
	stopEngine := d.leaveInOrder(leave, eng, server, listener, traffic)
	group.Go(func() error {
		defer closeServer(server)
		defer close(ended)
		return eng.Run(stopEngine)
	})
	group.Go(func() error { return d.tellStatus(leave, eng) })
	if door != nil {
		group.Go(func() error { return d.serveWeb(door, eng, ended) })
	}
	group.Go(func() error { return serveHTTP(server, listener) })
	group.Go(func() error { return d.awaitShutdown(leave, stop) })
	group.Go(func() error { return d.awaitReload(leave, eng) })
	if d.cfg.Ready != nil {
		d.cfg.Ready()
	}
	d.notify(notifyReady)
	err = group.Wait()
	if err == nil {
		d.log.Info("left")
	}
	return err // whoever runs the daemon says it
}

// awaitShutdown turns a client's request into the end of leave.
func (d *Daemon) awaitShutdown(leave context.Context, stop context.CancelFunc) error {
	select {
	case <-leave.Done():
		return nil
	case req := <-d.shutdown:
		defer stop()
		d.asked.Store(&req)
		d.log.Info("asked to leave", "restart", req.Restart, "end_programs", req.EndPrograms)
		if req.Restart {
			return nil
		}
		if err := os.WriteFile(d.cfg.Paths.Stopped, []byte("durablectl shutdown\n"), 0o600); err != nil {
			d.log.Warn("cannot mark the deliberate stop: clients may start the daemon again", "error", err)
		}
		return nil
	}
}

// awaitReload reloads when the process is told to. Nobody waits for an answer: the log has it.
func (d *Daemon) awaitReload(leave context.Context, eng *engine.Engine) error {
	for {
		select {
		case <-leave.Done():
			return nil
		case <-d.cfg.Reload:
			d.notify(reloading())
			result, err := eng.Reload(leave)
			d.notify(notifyReady)
			if err != nil {
				d.log.Error("reload: the old configuration stays in force", "error", err)
				continue
			}
			d.log.Info("reloaded", "changed", result.Changed)
		}
	}
}

func serveHTTP(server *http.Server, listener net.Listener) error {
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// closeServer lets requests that are under way finish, for a moment.
func closeServer(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
}

// Restore makes a new store of a backup in the state folder of paths. It refuses while a daemon has that folder,
// and where there is a store already. Folders of tasks that the backup does not know are set aside by the
// next daemon.
func Restore(paths socket.Paths, backup string) error {
	if err := prepareState(paths.State); err != nil {
		return err
	}
	lock, err := lockState(paths)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return store.Restore(backup, paths.State)
}

// prepareState makes the state folder, or says why it cannot be used.
func prepareState(dir string) error {
	hint := "set " + socket.EnvHome + " to a folder that you can write to"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return task.Errorf(task.FailedPrecondition, "state folder: %w", err).WithHint("%s", hint)
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return task.Errorf(task.FailedPrecondition, "state folder %s: not a folder", dir).WithHint("%s", hint)
	}
	return nil
}

// makeTasks makes the folder of the tasks' folders, if it can: on a full disk a daemon starts too, and who needs the folder makes it.
func makeTasks(dir string) {
	if os.MkdirAll(dir, 0o700) == nil {
		spread(dir)
	}
}

// Of a daemon that leaves, or was killed, the socket goes before the lock. Who is started in between waits
// up to lockPatience for the lock, and looks again every lockPause.
const (
	lockPatience = 5 * time.Second
	lockPause    = 20 * time.Millisecond
)

// takeState is lockState with patience for a predecessor on its way out: one that listens is refused at once.
func (d *Daemon) takeState(ctx context.Context) (*socket.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for waits := false; ; waits = true {
		lock, err := lockState(d.cfg.Paths)
		if err == nil || !errors.Is(err, socket.ErrLocked) || listens(ctx, d.cfg.Paths.Socket) {
			return lock, err
		}
		if !waits {
			d.log.Info("waiting for the daemon before to be gone", "reason", err)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockPause):
		}
	}
}

// answerPatience is how long one that listens has for an answer.
const answerPatience = time.Second

// listens reports whether a daemon is there. That the socket takes connections is not enough: of a daemon that was killed while
// it started a program, a child may be left that has not come to its exec, and has all that the daemon had open.
func listens(ctx context.Context, path string) bool {
	conn, err := socket.Dial(ctx, path)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(answerPatience))
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.0\r\nHost: durable\r\n\r\n"); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// lockState makes this the only daemon of its state folder, and writes down who holds it.
func lockState(paths socket.Paths) (*socket.Lock, error) {
	lock, err := socket.TryLock(paths.Lock)
	switch {
	case errors.Is(err, socket.ErrLocked):
		holder, _ := os.ReadFile(paths.Lock)
		e := task.Errorf(task.FailedPrecondition, "another daemon (%s) has the state folder %s", holderName(holder), paths.State).
			WithHint("durablectl status shows it; a second instance needs a %s of its own", socket.EnvHome)
		e.Err = err
		return nil, e
	case err != nil:
		return nil, task.Errorf(task.FailedPrecondition, "lock state folder: %w", err).
			WithHint("set %s to a folder that you can write to", socket.EnvHome)
	}
	// For people only: the lock is what counts.
	_ = os.WriteFile(paths.Lock, fmt.Appendf(nil, "pid %d", os.Getpid()), 0o600)
	return lock, nil
}

func holderName(b []byte) string {
	if len(b) == 0 || len(b) > 40 {
		return "pid unknown"
	}
	return string(b)
}
