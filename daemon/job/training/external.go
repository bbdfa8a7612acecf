package training

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// planProgram has the kind command make an order of the program.
func (k *Kind) planProgram(ctx context.Context, p params) (job.Plan, error) {
	raw, err := json.Marshal(p.program)
	if err != nil {
		return job.Plan{}, err
	}
	plan, err := k.programs.Prepare(ctx, task.Spec{Params: raw})
	if err != nil {
		return job.Plan{}, err
	}
	return p.adopt(plan)
}

// adopt makes the plan of a command that of a training: what people see of the command, beside what is ours.
func (p params) adopt(plan job.Plan) (job.Plan, error) {
	p.program = program{}
	if err := json.Unmarshal(plan.Params, &p.program); err != nil {
		return job.Plan{}, err
	}
	return p.plan(plan)
}

// reviveProgram has the kind command make a new order of what is left of the old one.
func (k *Kind) reviveProgram(ctx context.Context, t task.Task, req task.RetryRequest, p params) (job.Plan, error) {
	raw, err := json.Marshal(p.program)
	if err != nil {
		return job.Plan{}, err
	}
	t.Params = raw
	plan, err := k.programs.Revive(ctx, t, req)
	if err != nil {
		return job.Plan{}, err
	}
	return p.adopt(plan)
}

// programResult is the end of a training by a program. What it did not tell is not there.
type programResult struct {
	ModelName string   `json:"model_name"`
	Size      *int     `json:"dataset_size,omitempty"`
	Epochs    int      `json:"epochs_completed"`
	Loss      *float64 `json:"final_loss,omitempty"`
	Accuracy  *float64 `json:"final_accuracy,omitempty"`
	Success   bool     `json:"success"`
	Seconds   float64  `json:"training_time_seconds"`

	F1       *float64       `json:"final_f1,omitempty"`
	ExitCode int            `json:"exit_code"`
	Metrics  []programPoint `json:"metrics"`
}

// runProgram watches over the program, and reads its epochs out of what it has written.
func (k *Kind) runProgram(ctx context.Context, j *job.Context, p params) (any, error) {
	ended, err := k.programs.Run(ctx, j)
	left, err1 := j.ArtifactsDir()
	dir, err2 := j.AttemptDir()
	if err1 != nil || err2 != nil { // the program's end counts, not what we make of its words
		j.Logf("no metrics: %v %v", err1, err2)
		return ended, err
	}
	path := filepath.Join(left, fileSeries)
	series, kept := programSeries(path, dir)
	if kept != nil {
		j.Logf("the metrics were not kept: %v", kept)
	}
	if err != nil {
		return nil, err
	}
	res := programResult{ModelName: p.ModelName, Size: p.Size, Success: true, Metrics: thinnedPoints(series)}
	if raw, err := json.Marshal(ended); err == nil {
		var known struct {
			Code     int           `json:"exit_code"`
			Duration task.Duration `json:"duration"`
		}
		if json.Unmarshal(raw, &known) == nil {
			res.ExitCode, res.Seconds = known.Code, time.Duration(known.Duration).Seconds()
		}
	}
	if n := len(series); n > 0 {
		last := series[n-1]
		res.Epochs = last.Epoch
		res.Loss, res.Accuracy, res.F1 = or(last.ValLoss, last.Loss), or(last.ValAccuracy, last.Accuracy), or(last.ValF1, last.F1)
	}
	return res, nil
}

func or(a, b *float64) *float64 {
	if a != nil {
		return a
	}
	return b
}

// programSeries adds what an attempt's output says to the series of those before, and keeps it.
func programSeries(path, dir string) ([]programPoint, error) {
	series := map[int]programPoint{}
	if old, err := os.ReadFile(path); err == nil {
		parseSeries(old, series)
	}
	for _, stream := range []string{task.StreamStdout, task.StreamStderr} {
		f, err := os.Open(filepath.Join(dir, stream))
		if err != nil {
			continue // it has written nothing
		}
		readEpochs(f, series)
		_ = f.Close() // it was only read
	}
	if len(series) == 0 {
		return nil, nil
	}
	points := sorted(series)
	return points, writeProgramSeries(path, points)
}
