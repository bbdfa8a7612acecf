package training

import (
	"os"
	"strconv"
	"testing"
)

// BenchmarkEpoch trains one epoch of a data set, or of made samples.
func BenchmarkEpoch(b *testing.B) {
	params := []any{"dataset_size", 5000, "epochs", 1}
	if path := os.Getenv("TRAINING_BENCH_DATASET"); path != "" {
		params = []any{"dataset", path, "epochs", 1}
	}
	if n, err := strconv.Atoi(os.Getenv("TRAINING_BENCH_BATCH")); err == nil {
		params = append(params, "batch_size", n)
	}
	l := prepare(b, params...)
	for b.Loop() {
		l.host.SetCheckpoint(nil)
		res := l.finish()
		b.ReportMetric(res.Metrics[0].Seconds, "s/epoch")
		b.ReportMetric(*res.TestAccuracy, "accuracy")
	}
}
