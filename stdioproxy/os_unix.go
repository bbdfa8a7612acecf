//go:build unix

package stdioproxy

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// catchPipe: with a handler in place, a write to a broken stdout returns EPIPE.
func catchPipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
