//go:build unix

package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func hangUp(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func TestHangupReloads(t *testing.T) {
	for name, attached := range map[string]bool{"no terminal": false, "at a terminal that is still there": true} {
		t.Run(name, func(t *testing.T) {
			reload, stop := hangups(func() { t.Error("left") }, func() bool { return attached })
			defer stop()
			for range 3 {
				hangUp(t)
				select {
				case <-reload:
				case <-time.After(patience):
					t.Fatal("nothing came")
				}
			}
		})
	}
}

func TestTheTerminalIsGone(t *testing.T) {
	var there atomic.Bool
	there.Store(true)
	left := make(chan struct{})
	reload, stop := hangups(func() { close(left) }, there.Load)
	defer stop()
	there.Store(false)
	hangUp(t)
	select {
	case <-left:
	case <-reload:
		t.Error("reloads")
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}
