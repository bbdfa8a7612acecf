package localapi

import (
	"context"
	"errors"
	"io"
	"net/http"

	"durable/ipc/task"
)

// eventBuffer is how many events are taken from the stream ahead of the connection. It is small on
// purpose: progress that waits here is old when it leaves.
const eventBuffer = 16

// next is what one EventStream.Next returned.
type next struct {
	event task.Event
	err   error
}

func (h *Handler) events(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, "after", "task", "follow")
	eq := task.EventQuery{After: task.Cursor(q.text("after")), Task: task.Ref(q.text("task")), Follow: q.flag("follow")}
	if q.err != nil {
		return q.err
	}
	if eq.Task != "" {
		if _, err := eq.Task.Parse(); err != nil {
			return err
		}
	}
	stream, err := h.svc.Events(r.Context(), eq)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = ndjsonType
	w.WriteHeader(http.StatusOK)
	events, stop := read(r.Context(), stream)
	defer stop()
	return writeEvents(w, events)
}

// read takes from the stream in a goroutine of its own, so that the writer can see whether more is
// ready before it flushes. The channel is closed after the first error, or when the client has gone.
// stop ends the goroutine and waits for it.
func read(ctx context.Context, stream task.EventStream) (<-chan next, func()) {
	events := make(chan next, eventBuffer)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { stream.Close() })
	go func() {
		defer close(events)
		for {
			e, err := stream.Next()
			select {
			case events <- next{e, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return events, func() {
		cancel()
		for range events {
		}
	}
}

// writeEvents flushes when nothing more is ready: at once for a lone event, once for a burst. It
// returns an error only where the stream cannot say itself how it ended.
func writeEvents(w http.ResponseWriter, events <-chan next) error {
	out := http.NewResponseController(w)
	var line []byte
	write := func(v any) (err error) {
		if line, err = encode(line[:0], v); err == nil {
			_, err = w.Write(line)
		}
		return err
	}
	for {
		n, ok, err := take(out, events)
		switch {
		case err != nil || !ok || errors.Is(n.err, io.EOF):
			return nil // the end, or the client has gone
		case n.err != nil:
			return write(task.Envelope{Error: task.AsError(n.err)})
		}
		if err := write(n.event); err != nil {
			return err
		}
	}
}

// take returns what is ready, or flushes and waits.
func take(out *http.ResponseController, events <-chan next) (n next, ok bool, err error) {
	select {
	case n, ok = <-events:
		return n, ok, nil
	default:
	}
	if err := out.Flush(); err != nil {
		return next{}, false, err
	}
	n, ok = <-events
	return n, ok, nil
}
