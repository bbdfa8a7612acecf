package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"durable/daemon/job/noop"
	"durable/ipc/task"
)

// BenchmarkSubmit is what the daemon does for an acknowledged submit, the HTTP around it left out.
func BenchmarkSubmit(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := newHouse(b, noop.Kind{})
			h.open() // not run: the queue is held
			defer h.close()
			spec := task.Spec{Kind: noop.Name, Params: []byte(`{"duration":"0s"}`)}
			b.ReportAllocs()
			b.SetParallelism(clients)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := task.Key(uuid.Must(uuid.NewV7()).String())
					if _, err := h.Submit(b.Context(), spec, key); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
