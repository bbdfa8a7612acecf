// Command durable-mcp is the MCP server that a host launches: it speaks MCP on stdin and stdout and
// passes the work on to the daemon, which it starts when a tool is called and none runs. It keeps no
// state: kill it at any time, the tasks go on.
//
// # Design
//
// Flags are the standard library's: three of them do not pay for cobra, and hosts start this program
// often, for a probe and away. There are two clients of the daemon: only the one behind tool calls and
// resource reads may start a daemon; subscriptions and completion use one that never does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"durable/ipc/client"
	"durable/ipc/task"
	"durable/stdioproxy"
	"durable/stdioproxy/mcpserver"
)

// quietReconnect is how long a subscription's stream tries to come back by itself before the proxy
// takes over, more slowly.
const quietReconnect = 10 * time.Second

// Hosts run one of us for each session, so memory counts for more than speed here. Measured after 2,000
// tool calls: 14 MB resident instead of 16, at 0.6 ms a call instead of 0.4; and what a large message
// took is given back (17 MB instead of 29 after one of 20 MB). A limit below what the runtime itself
// needs would cost far more time: with 8 MiB a call took 1.7 ms.
const (
	gcPercent   = 50
	memoryLimit = 12 << 20 // soft
)

func main() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(memoryLimit)
	}
	in, out := stdioproxy.Take()
	os.Exit(run(os.Args[1:], in, out, os.Stderr))
}

func run(args []string, in io.ReadCloser, out io.Writer, stderr io.Writer) int {
	flags := flag.NewFlagSet("durable-mcp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(stderr, "usage: durable-mcp [flags]\n\nThe MCP server of durable, on stdin and stdout; hosts launch it.\n\n")
		flags.PrintDefaults()
	}
	socket := flags.String("socket", "", "the daemon's `path`; default: found as durablectl finds it")
	protocol := flags.String("protocol", "auto", "auto, or legacy: nothing newer than 2025-11-25")
	version := flags.Bool("version", false, "print the version and leave")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		return usage(stderr, "unexpected argument %q", flags.Arg(0))
	case *protocol != "auto" && *protocol != "legacy":
		return usage(stderr, "--protocol %q: want auto or legacy", *protocol)
	case *version:
		_, _ = fmt.Fprintln(out, "durable-mcp", task.Version())
		return 0
	}
	if err := serve(*socket, *protocol == "legacy", in, out, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "durable-mcp: error:", err)
		return 1
	}
	return 0
}

func usage(stderr io.Writer, format string, args ...any) int {
	_, _ = fmt.Fprintf(stderr, "durable-mcp: error: "+format+"\nhint: durable-mcp --help\n", args...)
	return 2
}

func serve(socket string, legacy bool, in io.ReadCloser, out, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := stdioproxy.Signals(context.Background())
	defer cancel()
	const name = "durable-mcp"
	work := client.New(client.Options{
		Socket: socket, Via: task.ViaMCP, Name: name, Start: client.Autostart(client.StartOptions{Socket: socket}),
	})
	quiet := client.New(client.Options{Socket: socket, Via: task.ViaMCP, Name: name, DialRetry: client.Never, Reconnect: quietReconnect})
	home, _ := os.UserHomeDir()
	server := mcpserver.New(work, mcpserver.Options{
		Quiet: quiet, Kinds: func() []task.KindInfo { return client.ListedKinds(socket) }, Base: stdioproxy.BaseFolder(), Home: home, Legacy: legacy, Logger: log,
		OnClient: func(name string) {
			work.SetName(name)
			quiet.SetName(name)
		},
	})
	err := stdioproxy.Run(ctx, server, in, out, log)
	return errors.Join(err, work.Close(), quiet.Close())
}
