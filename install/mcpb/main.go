// Command mcpb lays out the folder of an MCP bundle: the file that Claude Desktop and other hosts install a server from, with a click. It
// holds a manifest (version 0.3 of https://github.com/anthropics/mcpb) and the four programs for one platform, beside each other as
// everywhere, so that the first tool call finds the daemon.
//
//	go run ./install/mcpb -programs bin -os linux -version 1.2.3 DIR
//	mcpb validate DIR/manifest.json && mcpb pack DIR durable.mcpb
//
// # Design
//
// The tools that the manifest names are asked of the server itself, over MCP, and so are its name and what it is for: a list written by hand
// would be wrong within a week. For bundles of other platforms than this one, -server names a durable-mcp of the same sources
// that runs here. Packing and the check of the manifest are left to the format's own program.
//
// Rejected: one bundle for all platforms (four programs six times over, 350 MB), and the SDK's client for two requests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// patience is how long the server has to answer.
const patience = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "mcpb: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mcpb", flag.ContinueOnError)
	programs := flags.String("programs", "bin", "`folder` with the four programs of the bundle")
	platform := flags.String("os", "", "linux, darwin or windows: what they are built for")
	server := flags.String("server", "", "a `durable-mcp` that runs here, to ask for its tools (default: the one of the bundle)")
	version := flags.String("version", "", "the bundle's version (default: the server's)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, known := platforms[*platform]
	switch {
	case !known:
		return fmt.Errorf("-os %q: want linux, darwin or windows", *platform)
	case flags.NArg() != 1:
		return errors.New("want one folder to lay the bundle out in")
	}
	if *server == "" {
		*server = filepath.Join(*programs, "durable-mcp"+p.exe)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := ask(ctx, *server)
	if err != nil {
		return fmt.Errorf("ask %s for its tools: %w", *server, err)
	}
	if *version != "" {
		said.Version = *version
	}
	return layOut(flags.Arg(0), *programs, p, said)
}

// layOut makes the folder, which must not be there.
func layOut(dir, programs string, p platform, said answer) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	inside := filepath.Join(dir, serverDir)
	if err := os.Mkdir(inside, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"durable-mcp", "durabled", "durable-shim", "durablectl"} {
		if err := copyFile(filepath.Join(programs, name+p.exe), filepath.Join(inside, name+p.exe)); err != nil {
			return err
		}
	}
	text, err := manifestOf(p, said)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
