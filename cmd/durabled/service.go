package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"durable/daemon"
	"durable/daemon/store"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// exit is the end of a daemon that is a service, where it is no error: its service manager reads the status.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// pathsOf: the machine's daemon has its own folders, whatever its environment says.
func pathsOf(system bool) (socket.Paths, error) {
	if system {
		return socket.SystemPaths(), nil
	}
	return socket.DefaultPaths()
}

// serve runs the daemon under whichever service manager has started it, or none.
func serve(ctx context.Context, cfg daemon.Config) error {
	cfg.Listener = given(cfg)
	cfg.GoingDown = goingDown(cfg.Paths.System)
	if os.Getenv("NOTIFY_SOCKET") != "" {
		cfg.Notify = func(state string) {
			if _, err := systemd.SdNotify(false, state); err != nil {
				cfg.Logger.Warn("tell the service manager", "state", state, "error", err)
			}
		}
	}
	d := daemon.New(cfg)
	if err := underManager(ctx, cfg, d); err != nil {
		return err
	}
	return leftBy(d.Asked(), cfg.Lives)
}

// given returns the socket that the service manager holds for us: the one at our own path, or nil. Others are closed.
func given(cfg daemon.Config) (ours net.Listener) {
	listeners, _ := activation.Listeners() // it has no error to return
	for _, l := range listeners {
		switch {
		case l == nil:
		case ours == nil && l.Addr().Network() == "unix" && l.Addr().String() == cfg.Paths.Socket:
			ours = l
		default:
			cfg.Logger.Warn("the service manager has a socket for us that is not ours", "socket", l.Addr(), "ours", cfg.Paths.Socket)
			_ = l.Close()
		}
	}
	return ours
}

// logTo makes a file of the standard streams: not every service manager has a place for them.
func logTo(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { // at the first start nothing has made it yet
		return task.Errorf(task.FailedPrecondition, "log file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "log file: %w", err)
	}
	os.Stdout, os.Stderr = f, f
	return nil
}

// schemaCommand prints what an upgrade wants to know before it puts this program in the place of another.
func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Hidden: true, Args: cobra.NoArgs, Short: "Print the version of the store's schema that this program writes",
		RunE: func(*cobra.Command, []string) error {
			fmt.Println(store.Schema)
			return nil
		},
	}
}

// isStopping reads the answer of systemctl is-system-running.
func isStopping(out []byte) bool { return strings.TrimSpace(string(out)) == "stopping" }
