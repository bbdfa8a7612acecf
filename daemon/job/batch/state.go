package batch

import (
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// state is the task's checkpoint. What happened after it is in the segment of the journal that it names.
type state struct {
	Source  job.Fingerprint `json:"source"`
	Total   int64           `json:"total"` // items
	Segment int             `json:"segment"`
	// Head is the number of the first batch that is not in the output, At where it begins in the input.
	Head int64    `json:"head"`
	At   position `json:"at"`
	// Output and Failed are the lengths of the two files up to there.
	Output int64 `json:"output"`
	Failed int64 `json:"failed"`
	// Ended is the number of batches whose end is known, those behind Head included.
	Ended int64 `json:"ended"`
	counts
	Elapsed task.Duration `json:"elapsed,omitempty"`
}

// counts are of the batches before Head.
type counts struct {
	FailedItems   int64  `json:"failed_items"`
	FailedBatches int64  `json:"failed_batches"`
	Reruns        int64  `json:"reruns"`
	FirstError    string `json:"first_error,omitempty"`
}

// result is what a task ends with: the first five are the tutorial's.
type result struct {
	Processed int64   `json:"processed"`
	Total     int64   `json:"total"`
	BatchSize int     `json:"batch_size"`
	Delay     float64 `json:"processing_delay"`
	Success   bool    `json:"success"`

	Batches       int64   `json:"batches"`
	FailedItems   int64   `json:"failed_items"`
	FailedBatches int64   `json:"failed_batches"`
	FirstError    string  `json:"first_error,omitempty"`
	Reruns        int64   `json:"reruns"`
	ResumedFrom   int64   `json:"resumed_from"`
	Duration      float64 `json:"duration_seconds"`
	Output        string  `json:"output"`
	Failed        string  `json:"failed,omitempty"`
}

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
