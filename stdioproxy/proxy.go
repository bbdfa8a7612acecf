package stdioproxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"durable/stdioproxy/mcpserver"
)

// Run serves one session over in and out and returns when it has ended: in at its end, the host gone,
// the parent dead, or ctx done. Replies that are due are written first. None of that is an error.
func Run(ctx context.Context, server *mcpserver.Server, in io.ReadCloser, out io.Writer, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := onParentExit(cancel); err != nil {
		log.Debug("the parent's death goes unnoticed, only the end of stdin counts", "error", err)
	}
	err := server.Serve(ctx, newLines(in, out))
	server.Close()
	if hostGone(err) {
		return nil
	}
	return err
}

// hostGone reports whether err says that nobody reads what we write.
func hostGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) || brokenPipe(err)
}

// Take takes stdin and stdout away from the rest of the process: whoever writes to os.Stdout from now
// on writes to stderr.
func Take() (in *os.File, out *os.File) {
	in, out = os.Stdin, os.Stdout
	os.Stdout = os.Stderr
	return in, out
}

// Signals returns a context that ends at SIGINT or SIGTERM. It also keeps SIGPIPE from ending the
// process in the middle of a write to a host that is gone; it is not ignored, since children (the
// daemon among them) would inherit that.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	catchPipe()
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
