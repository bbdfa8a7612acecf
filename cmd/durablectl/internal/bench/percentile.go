package bench

import (
	"math"
	"slices"
	"time"
)

// Latency is a distribution, in milliseconds.
type Latency struct {
	Samples int     `json:"samples"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

// latency sorts the samples.
func latency(samples []time.Duration) Latency {
	if len(samples) == 0 {
		return Latency{}
	}
	slices.Sort(samples)
	return Latency{
		Samples: len(samples),
		P50:     ms(percentile(samples, 50)), P99: ms(percentile(samples, 99)), Max: ms(samples[len(samples)-1]),
	}
}

// percentile returns the smallest of the sorted samples that at least p percent of them do not exceed (nearest rank).
func percentile(sorted []time.Duration, p int) time.Duration {
	rank := (p*len(sorted) + 99) / 100
	return sorted[max(1, rank)-1]
}

func ms(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 1000) }

// median returns the middle one, or the mean of the two in the middle.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// round keeps what a reader can use.
func round(f float64, per float64) float64 { return math.Round(f*per) / per }

// quotient is 0 where there is nothing to divide by.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return round(a/b, 1000)
}
