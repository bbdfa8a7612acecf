//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func atTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// hangups turns SIGHUP into requests to reload. It has an older meaning too: the terminal is gone. Where there was one at
// the start and is none any more, as attached tells, leave is called instead.
func hangups(leave func(), attached func() bool) (reload <-chan struct{}, stop func()) {
	signals, requests, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	began := attached()
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			if began && !attached() {
				leave()
				continue
			}
			select {
			case requests <- struct{}{}:
			default: // one is asked for already
			}
		}
	}()
	return requests, func() {
		signal.Stop(signals)
		close(done)
	}
}
