package localapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"durable/ipc/client"
	"durable/ipc/localapi"
	"durable/ipc/task"
)

// noop accepts submits and does nothing.
type noop struct {
	task.UnimplementedService
	n atomic.Uint64
}

func (s *noop) Submit(_ context.Context, spec task.Spec, _ task.Key) (task.Task, error) {
	return task.Task{ID: "019a0000-0000-7000-8000-000000000001", Number: s.n.Add(1), Kind: spec.Kind,
		Status: task.StatusPending, Phase: task.PhaseQueued, Params: spec.Params, Queue: "default"}, nil
}

// bare does the least that a handler of this request can: decode, call, encode.
func bare(s *noop) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var spec task.Spec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		t, _ := s.Submit(r.Context(), spec, "")
		w.Header().Set("Durable-Api", "1")
		json.NewEncoder(w).Encode(t)
	})
}

// BenchmarkSubmit: POST /v1/tasks by 64 clients on a real socket, through the whole API and through a
// bare handler; no store in either.
func BenchmarkSubmit(b *testing.B) {
	const clients = 64
	spec := task.Spec{Kind: "noop", Params: json.RawMessage(`{"duration":"0s"}`)}
	for _, bb := range []struct {
		name string
		srv  func() *http.Server
	}{
		{"bare", func() *http.Server { return &http.Server{Handler: bare(&noop{})} }},
		{"localapi", func() *http.Server { return localapi.New(&noop{}, localapi.Options{}).Server() }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			a := listen(b, bb.srv())
			c := client.New(client.Options{Socket: a.path, Name: "bench"})
			b.Cleanup(func() { c.Close() })
			b.ReportAllocs()
			b.SetParallelism(clients / 2) // times GOMAXPROCS, 2 on the machine that the figures come from
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Submit(context.Background(), spec, ""); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
		})
	}
}
