package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// Load is what a closed loop found.
type Load struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
}

// spec is the task that is submitted: nothing to do.
var spec = task.Spec{Kind: "noop", Params: json.RawMessage(`{"duration":"0s"}`)}

// sender is one client: a connection of its own, one request on it at a time, and nothing between it and the socket.
type sender struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	body []byte
	free func() bool // of the context that ends a submit which hangs
}

func newSender(ctx context.Context, path string, s task.Spec) (*sender, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	conn, err := socket.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return &sender{
		conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn), body: body,
		free: context.AfterFunc(ctx, func() { _ = conn.Close() }),
	}, nil
}

func (s *sender) close() {
	s.free()
	_ = s.conn.Close()
}

// submit returns when the server has acknowledged.
func (s *sender) submit(ctx context.Context) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil { // the connection was closed for that
			err = context.Cause(ctx)
		}
	}()
	key, err := uuid.NewV7()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://durable/v1/tasks", bytes.NewReader(s.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(task.HeaderKey, key.String())
	if err = req.Write(s.out); err == nil {
		err = s.out.Flush()
	}
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.in, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.200s", resp.Status, answer)
	}
	return err
}

// submit has so many clients submit for so long. Every acknowledgement is held against the daemon's own count.
func (s *server) submit(ctx context.Context, clients int, d time.Duration) (Load, error) {
	before, err := s.count(ctx)
	if err != nil {
		return Load{}, err
	}
	began := time.Now()
	samples, err := s.loop(ctx, clients, func(int) bool { return time.Since(began) < d })
	took := time.Since(began)
	if err != nil {
		return Load{}, task.Errorf(task.Internal, "submit to %s: %w", s.name, err)
	}
	after, err := s.count(ctx)
	if err != nil {
		return Load{}, err
	}
	if s.real && after-before != len(samples) {
		return Load{}, task.Errorf(task.Internal, "%d submits were acknowledged, the daemon counted %d", len(samples), after-before)
	}
	l := latency(samples)
	return Load{PerSecond: round(float64(len(samples))/took.Seconds(), 10), P50: l.P50, P99: l.P99}, nil
}

func (s *server) count(ctx context.Context) (int, error) {
	if !s.real {
		return 0, nil
	}
	return s.submitted(ctx)
}

// loop is the closed loop: each client submits as long as more says so of the number of submits begun before. It
// returns how long each took.
func (s *server) loop(ctx context.Context, clients int, more func(begun int) bool) ([]time.Duration, error) {
	var begun atomic.Int64
	perClient := make([][]time.Duration, clients)
	group, ctx := errgroup.WithContext(ctx)
	for i := range clients {
		group.Go(func() error {
			c, err := newSender(ctx, s.socket, spec)
			if err != nil {
				return err
			}
			defer c.close()
			for more(int(begun.Add(1)) - 1) {
				sent := time.Now()
				if err := c.submit(ctx); err != nil {
					return err
				}
				perClient[i] = append(perClient[i], time.Since(sent))
			}
			return nil
		})
	}
	err := group.Wait()
	var all []time.Duration
	for _, samples := range perClient {
		all = append(all, samples...)
	}
	return all, err
}

// completeClients is how many clients keep the daemon busy.
const completeClients = 16

// complete submits for so long while tasks run, and returns how many were completed a second, up to the last.
func (s *server) complete(ctx context.Context, d time.Duration) (float64, error) {
	began := time.Now()
	samples, err := s.loop(ctx, completeClients, func(int) bool { return time.Since(began) < d })
	if err == nil {
		err = s.idle(ctx)
	}
	if err != nil {
		return 0, task.Errorf(task.Internal, "submit to completed: %w", err)
	}
	return round(float64(len(samples))/time.Since(began).Seconds(), 10), nil
}

// idle waits until nothing is queued and nothing runs.
func (s *server) idle(ctx context.Context) error {
	for {
		st, err := s.svc.Stats(ctx)
		if err != nil {
			return err
		}
		if st.Queued == 0 && st.Active == 0 && st.Counts[task.StatusPending]+st.Counts[task.StatusRunning] == 0 {
			return nil
		}
		next := time.NewTimer(5 * time.Millisecond)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		}
	}
}

// Fill tells how a store came to its finished tasks.
type Fill struct {
	Tasks     int     `json:"tasks"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
}

// fillClients is how many clients fill a store.
const fillClients = 64

// fill runs so many tasks to their end.
func (s *server) fill(ctx context.Context, tasks int) (Fill, error) {
	began := time.Now()
	_, err := s.loop(ctx, fillClients, func(begun int) bool { return begun < tasks })
	if err == nil {
		err = s.idle(ctx)
	}
	if err != nil {
		return Fill{}, task.Errorf(task.Internal, "fill the store: %w", err)
	}
	took := time.Since(began).Seconds()
	return Fill{Tasks: tasks, Seconds: round(took, 10), PerSecond: round(float64(tasks)/took, 10)}, nil
}
