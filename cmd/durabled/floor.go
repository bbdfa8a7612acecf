package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"durable/daemon/store"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// floorCommand serves the least that an acknowledged write can be: an HTTP handler that reads the body and
// commits one small record through the store's committer, on the same kind of socket. durablectl bench holds the
// real submit against it. It lives here because durablectl must not link the store.
func floorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bench-floor DIR", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Serve the bare handler that durablectl bench compares with, on DIR/durable.sock",
		RunE:  func(_ *cobra.Command, args []string) error { return serveFloor(args[0]) },
	}
}

func serveFloor(dir string) error {
	st, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	listener, err := socket.Listen(filepath.Join(dir, "durable.sock"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: floorHandler(st), ReadHeaderTimeout: 10 * time.Second}
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-leave
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func floorHandler(st *store.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, task.MaxParams))
		if err == nil {
			err = st.Update(r.Context(), store.Admission, func(tx *store.Tx) error {
				return tx.Append(task.Event{Time: time.Now(), Type: task.EventDaemon, Message: string(body)})
			})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}
