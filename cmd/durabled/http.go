package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"durable/daemon"
	"durable/daemon/config"
	"durable/daemon/web"
	"durable/ipc/task"
	"durable/stdioproxy/mcpserver"
)

// checkHTTP refuses flags that cannot be meant before anything is opened.
func checkHTTP(cmd *cobra.Command, h config.HTTP) error {
	switch given := cmd.Flags().Changed; {
	case !given("http") && given("http-auth"):
		return task.Errorf(task.InvalidArgument, "--http-auth without --http").WithHint("such as --http 127.0.0.1:8080")
	case !given("http"):
		return nil
	}
	return web.Check(h.Address, h.Auth)
}

// surface is the MCP surface on tasks of this process.
type surface struct {
	*mcpserver.HTTP
	server *mcpserver.Server
}

func (s surface) Close() { s.server.Close() }

// newSurface makes the same surface as durable-mcp has, but for what a carrier decides: there is no folder of a caller's
// that a relative path could be taken from, and tasks are those of the daemon's own user.
func newSurface(svc task.Service, log *slog.Logger) daemon.Surface {
	home, _ := os.UserHomeDir()
	server := mcpserver.New(svc, mcpserver.Options{
		Home: home, Legacy: true, Logger: log,
		Kinds: func() []task.KindInfo {
			kinds, err := svc.Kinds(context.Background())
			if err != nil {
				return nil
			}
			return kinds
		},
		Caller: func(client string) task.Caller {
			return task.Caller{UID: os.Getuid(), PID: os.Getpid(), Client: client, Via: task.ViaMCP}
		},
	})
	return surface{server.HTTP(mcpserver.HTTPOptions{}), server}
}

var _ daemon.Surface = surface{}
