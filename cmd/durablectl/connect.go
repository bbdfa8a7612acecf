package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// reach says what to do about a daemon that does not answer.
type reach int

const (
	// reachRunning waits a moment for one that restarts: its socket is there, and nobody listens. Where
	// there is no socket it answers at once.
	reachRunning reach = iota
	// reachNow never waits.
	reachNow
	// reachStart starts one, unless somebody stopped it on purpose.
	reachStart
	// reachRestart starts one whatever the reason is that none runs: a person asked for it.
	reachRestart
	// reachReturning waits for one that somebody else starts.
	reachReturning
)

// restartPatience is how long a daemon that restarts is waited for.
const restartPatience = 2 * time.Second

// connect returns the client of the daemon at path, or of the one that socket.Find finds.
func connect(path string, how reach) task.Service {
	if path != "" && runtime.GOOS != "windows" { // there it is the name of a pipe
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
	}
	opts := client.Options{Socket: path, Via: task.ViaCLI, Name: "durablectl " + task.Version(), DialRetry: restartPatience}
	switch {
	case how == reachStart || how == reachRestart:
		opts.DialRetry = client.DefaultDialRetry
		opts.Start = client.Autostart(client.StartOptions{Socket: path, Deliberate: how == reachRestart})
	case how == reachReturning:
		opts.DialRetry = client.DefaultReconnect
	case how == reachNow || !present(path):
		opts.DialRetry = client.Never
	}
	return client.New(opts)
}

// present reports whether the socket is there, whoever may listen. An error shows when it is dialled.
func present(path string) bool {
	p, err := socket.Find(path)
	if err != nil || runtime.GOOS == "windows" {
		return true
	}
	_, err = os.Stat(p.Socket)
	return !errors.Is(err, fs.ErrNotExist)
}
