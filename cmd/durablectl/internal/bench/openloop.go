package bench

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"durable/ipc/task"
)

const (
	// openLoopRate is submits a second.
	openLoopRate = 200
	// openLoopClients is how many of them may be under way; a server that needs more is late anyway, and
	// that counts.
	openLoopClients = 64
	// straggler is how long the last events are waited for.
	straggler = time.Minute
	// warmUp is the time until the first submit: the watcher is to listen by then.
	warmUp = 50 * time.Millisecond
)

// stepped is the task of the open loop: it reports once, after a moment.
var stepped = json.RawMessage(`{"duration":"5ms","steps":1}`)

// openLoop submits at fixed times and watches. Pick-up is from the time at which a submit should have left to the news
// that its task runs; watch is from the job's call of Progress to that report.
func (s *server) openLoop(ctx context.Context, d time.Duration) (*watcher, error) {
	w := &watcher{due: make([]time.Time, max(1, int(d.Seconds()*openLoopRate)))}
	stream, err := s.svc.Events(ctx, task.EventQuery{Follow: true})
	if err != nil {
		return nil, err
	}
	begin := time.Now().Add(warmUp)
	for i := range w.due {
		w.due[i] = begin.Add(time.Duration(i) * time.Second / openLoopRate)
	}
	heard := make(chan error, 1)
	go func() { heard <- w.listen(stream) }()
	err = s.send(ctx, w.due)
	late := time.AfterFunc(straggler, func() { _ = stream.Close() })
	if err != nil {
		_ = stream.Close()
	}
	listenErr := <-heard
	late.Stop()
	_ = stream.Close()
	switch {
	case err != nil:
		return nil, task.Errorf(task.Internal, "open loop: %w", err)
	case w.ended < len(w.due):
		return nil, task.Errorf(task.Internal, "open loop: the watcher heard of the end of %d tasks of %d: %w",
			w.ended, len(w.due), listenErr)
	}
	return w, nil
}

// send submits at the times due, each task with its place as its title.
func (s *server) send(ctx context.Context, due []time.Time) error {
	next := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	for range openLoopClients {
		group.Go(func() error { return s.sendSome(ctx, next) })
	}
	group.Go(func() error {
		defer close(next)
		for i, at := range due {
			timer := time.NewTimer(time.Until(at))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

func (s *server) sendSome(ctx context.Context, next <-chan int) error {
	c, err := newSender(ctx, s.socket, task.Spec{})
	if err != nil {
		return err
	}
	defer c.close()
	for i := range next {
		if c.body, err = json.Marshal(task.Spec{Kind: spec.Kind, Title: strconv.Itoa(i), Params: stepped}); err != nil {
			return err
		}
		if err := c.submit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// watcher hears the events of the open loop's tasks.
type watcher struct {
	due    []time.Time
	pickup []time.Duration
	watch  []time.Duration
	ended  int
}

// listen returns when all tasks have ended, or the stream has.
func (w *watcher) listen(stream task.EventStream) error {
	for w.ended < len(w.due) {
		e, err := stream.Next()
		if err != nil {
			return err
		}
		w.hear(e, time.Now())
	}
	return nil
}

func (w *watcher) hear(e task.Event, now time.Time) {
	if e.Task == nil {
		return
	}
	i, err := strconv.Atoi(e.Task.Title)
	if err != nil || i < 0 || i >= len(w.due) {
		return // not one of ours
	}
	switch {
	case e.Type == task.EventStarted:
		w.pickup = append(w.pickup, now.Sub(w.due[i]))
	case e.Type == task.EventProgress:
		if called, err := time.Parse(time.RFC3339Nano, e.Task.Progress.Message); err == nil {
			w.watch = append(w.watch, now.Sub(called))
		}
	case e.Task.Status.Terminal():
		w.ended++
	}
}
