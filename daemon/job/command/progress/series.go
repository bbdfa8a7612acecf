package progress

import (
	"math"
	"strconv"
	"strings"
)

// Metric is a figure that a program told of an epoch.
type Metric struct {
	Name  string
	Value float64
}

// EpochReader reads the epochs of a training, with their metrics, out of the lines of its output. The zero value is ready.
type EpochReader struct{ epochs epochs }

// Line takes a line. Where it has metrics, it returns them with the epoch that they are of, as the program counts it.
func (r *EpochReader) Line(line string) (epoch int, metrics []Metric, ok bool) {
	if _, ok := r.epochs.match(strings.TrimRight(line, "\r\n"), true); !ok || r.epochs.i > math.MaxInt32 {
		return 0, nil, false
	}
	for _, g := range metricShape.FindAllStringSubmatch(line, -1) {
		if !metricName.MatchString(g[1]) || len(metrics) == maxMetrics {
			continue
		}
		text, percent := strings.CutSuffix(strings.TrimRight(g[2], "."), "%")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(v, 0) {
			continue
		}
		if percent {
			v /= 100
		}
		metrics = append(metrics, Metric{g[1], v})
	}
	return int(r.epochs.i), metrics, len(metrics) > 0
}
