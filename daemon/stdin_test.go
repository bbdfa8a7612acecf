package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"durable/daemon"
	"durable/daemon/engine"
	"durable/daemon/job"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// reader is a kind that runs until it is told to end, and takes input meanwhile.
type reader struct {
	mu    sync.Mutex
	input []byte
}

func (*reader) Describe() task.KindInfo {
	return task.KindInfo{Name: "reader", Schema: json.RawMessage(`{"type":"object"}`)}
}

func (*reader) Prepare(context.Context, task.Spec) (job.Plan, error) { return job.Plan{}, nil }

func (*reader) Run(ctx context.Context, _ *job.Context) (any, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (k *reader) Input(_ context.Context, _ string, req task.StdinRequest) (task.StdinState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	size := int64(len(k.input))
	if req.Offset > size {
		return task.StdinState{}, task.Errorf(task.OutOfRange, "offset %d is beyond the end at %d", req.Offset, size)
	}
	data, err := io.ReadAll(req.Data)
	if err != nil {
		return task.StdinState{}, err
	}
	if req.Offset < 0 {
		req.Offset = size
	}
	k.input = append(k.input[:req.Offset], data...)
	return task.StdinState{Offset: int64(len(k.input)), Closed: req.Close}, nil
}

// TestStdinOverTheSocket: what the engine says of input is what a client hears, also of more than it takes.
func TestStdinOverTheSocket(t *testing.T) {
	dir := shortDir(t)
	k := &reader{}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	d := daemon.New(daemon.Config{Paths: socket.In(dir), Kinds: []job.Kind{k}, StopGrace: 5 * time.Second, Ready: func() { close(ready) }})
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-ready
	c := dial(dir, client.Options{})
	defer closeClient(c)
	made, err := c.Submit(ctx, task.Spec{Kind: "reader"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for made.Status != task.StatusRunning {
		if made, err = c.Get(ctx, made.ID.Ref()); err != nil {
			t.Fatal(err)
		}
	}
	give := func(req task.StdinRequest) (task.StdinState, error) { return c.Stdin(ctx, made.ID.Ref(), req) }
	if got, err := give(task.StdinRequest{Data: strings.NewReader("one\n")}); err != nil || got.Offset != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := give(task.StdinRequest{Offset: 5, Data: strings.NewReader("x")}); !errors.Is(err, task.OutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := give(task.StdinRequest{Data: bytes.NewReader(make([]byte, engine.MaxInput+1))}); !errors.Is(err, task.ResourceExhausted) {
		t.Errorf("too much: %v", err)
	}
	if got, err := give(task.StdinRequest{Offset: 4, Close: true}); err != nil || got.Offset != 4 || !got.Closed {
		t.Errorf("close: %+v, %v", got, err)
	}
	if _, err := c.Cancel(ctx, made.ID.Ref(), task.CancelRequest{}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(ctx, made.ID.Ref(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := give(task.StdinRequest{Offset: 4, Data: strings.NewReader("x")}); !errors.Is(err, task.FailedPrecondition) {
		t.Errorf("after the end: %v", err)
	}
}
