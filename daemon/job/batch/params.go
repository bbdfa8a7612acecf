package batch

import (
	"encoding/json"
	"math"
	"time"

	"durable/daemon/job"
	"durable/daemon/job/command"
	"durable/ipc/task"
)

// Limits and defaults of the parameters; each limit has an error of its own.
const (
	MaxBatchSize   = 1_000_000
	MaxTotal       = 1_000_000_000_000
	MaxParallelism = 256
	MaxRetries     = 100
	MaxOutput      = 1 << 20
	maxDelay       = 24 * time.Hour
	maxGrace       = time.Hour

	defaultDelay  = 10.0 // seconds, without a command: the tutorial's
	defaultOutput = 64 << 10
	defaultGrace  = 10 * time.Second
)

// params are the parameters as callers give them and as Prepare leaves them, with the defaults filled in.
type params struct {
	Input       string   `json:"input,omitempty"`
	Format      format   `json:"format,omitempty"`
	BatchSize   *int     `json:"batch_size,omitempty"`
	TotalItems  *int64   `json:"total_items,omitempty"`
	Delay       *float64 `json:"processing_delay,omitempty"`
	Parallelism *int     `json:"parallelism,omitempty"`

	Stdin       handover      `json:"stdin,omitempty"`
	OnError     onError       `json:"on_error,omitempty"`
	Retries     int           `json:"retries,omitempty"`
	Timeout     task.Duration `json:"timeout,omitempty"`
	Grace       task.Duration `json:"grace,omitempty"`
	OutputLimit int           `json:"output_limit,omitempty"`

	command.Request
}

// handover is how a batch is written for a command.
type handover string

const (
	asLines handover = "lines"
	asJSONL handover = "jsonl"
	asNone  handover = "none"
)

// onError is what a batch does that has failed for good.
type onError string

const (
	onErrorContinue onError = "continue"
	onErrorStop     onError = "stop"
)

func invalid(format string, args ...any) *task.Error {
	return task.Errorf(task.InvalidArgument, format, args...)
}

// decodeParams reads the parameters; an unknown one is refused by name.
func decodeParams(raw json.RawMessage) (params, error) {
	var p params
	err := job.Decode(raw, &p, "batch_processing takes input, format, batch_size, total_items, processing_delay, parallelism, command, "+
		"stdin, cwd, env, on_error, retries, timeout, grace and output_limit")
	return p, err
}

// normalize checks what can be checked without looking at the disk, and fills in the defaults.
func (p *params) normalize() error {
	if err := p.normalizeItems(); err != nil {
		return err
	}
	if err := p.normalizeNumbers(); err != nil {
		return err
	}
	switch p.OnError {
	case "":
		p.OnError = onErrorContinue
	case onErrorContinue, onErrorStop:
	default:
		return invalid("on_error: %q, want continue or stop", string(p.OnError))
	}
	switch p.Stdin {
	case "", asLines, asJSONL, asNone:
	default:
		return invalid("stdin: %q, want lines, jsonl or none", string(p.Stdin))
	}
	if len(p.Command) == 0 {
		return p.refuseWithoutCommand()
	}
	t, err := compile(p.Command)
	if err != nil {
		return err
	}
	if t.item && *p.BatchSize != 1 {
		return invalid("command: {item} needs batch_size 1, not %d", *p.BatchSize).
			WithHint("{items} alone becomes one argument per item, {file} a file with the batch; or set batch_size=1")
	}
	if p.Stdin == "" && (t.item || t.items || t.file) {
		p.Stdin = asNone
	}
	return nil
}

// normalizeItems settles where the items come from, as far as their names tell.
func (p *params) normalizeItems() error {
	switch {
	case p.Input != "" && p.Format == formatNumbers:
		return invalid("format: numbers come without an input").WithHint("leave input out and give total_items; or leave format out")
	case p.Input == "" && p.Format != "" && p.Format != formatNumbers:
		return invalid("input: missing, with format %s", string(p.Format)).WithHint("give the path of the file")
	case p.Input == "" && p.TotalItems == nil:
		return invalid("total_items: missing").WithHint("give input, a file of items; or total_items: then the items are the numbers 1 to total_items")
	case p.TotalItems != nil && (*p.TotalItems < 1 || *p.TotalItems > MaxTotal):
		return invalid("total_items: %d, want 1 to %d", *p.TotalItems, int64(MaxTotal))
	}
	if !p.Format.known() {
		return invalid("format: %q, want lines, jsonl, csv, glob or numbers", string(p.Format))
	}
	if p.Input == "" {
		p.Format = formatNumbers
		return nil
	}
	var err error
	p.Input, err = command.Absolute("input", p.Input)
	return err
}

func (p *params) normalizeNumbers() error {
	p.BatchSize, p.Parallelism = or(p.BatchSize, 1), or(p.Parallelism, 1)
	delay := defaultDelay
	if len(p.Command) > 0 {
		delay = 0
	}
	p.Delay = or(p.Delay, delay)
	p.Grace, p.OutputLimit = orZero(p.Grace, task.Duration(defaultGrace)), orZero(p.OutputLimit, defaultOutput)
	switch {
	case *p.BatchSize < 1 || *p.BatchSize > MaxBatchSize:
		return invalid("batch_size: %d, want 1 to %d", *p.BatchSize, MaxBatchSize)
	case math.IsNaN(*p.Delay) || *p.Delay < 0 || *p.Delay > maxDelay.Seconds():
		return invalid("processing_delay: %v, want 0 to %.0f seconds", *p.Delay, maxDelay.Seconds())
	case *p.Parallelism < 1 || *p.Parallelism > MaxParallelism:
		return invalid("parallelism: %d, want 1 to %d", *p.Parallelism, MaxParallelism)
	case p.Retries < 0 || p.Retries > MaxRetries:
		return invalid("retries: %d, want 0 to %d", p.Retries, MaxRetries)
	case p.Timeout < 0:
		return invalid("timeout: %s is negative", time.Duration(p.Timeout))
	case p.Grace < 0 || time.Duration(p.Grace) > maxGrace:
		return invalid("grace: %s, want 0s to %s", time.Duration(p.Grace), maxGrace)
	case p.OutputLimit < 0 || p.OutputLimit > MaxOutput:
		return invalid("output_limit: %d, want 1 to %d bytes", p.OutputLimit, MaxOutput)
	}
	return nil
}

func or[T any](given *T, otherwise T) *T {
	if given == nil {
		return &otherwise
	}
	return given
}

func orZero[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}

// refuseWithoutCommand refuses what only a command makes sense of: it would be silently without effect.
func (p *params) refuseWithoutCommand() error {
	for _, c := range []struct {
		name  string
		given bool
	}{
		{"stdin", p.Stdin != ""}, {"retries", p.Retries > 0}, {"timeout", p.Timeout > 0}, {"env", len(p.Env) > 0},
	} {
		if c.given {
			return invalid("%s: only with command", c.name).WithHint(`command is the program that gets each batch: ["./process", "{item}"]`)
		}
	}
	p.Cwd, p.Environ = "", nil // the place that every caller has
	return nil
}

// delay is the pause between two batches.
func (p *params) delay() time.Duration { return time.Duration(*p.Delay * float64(time.Second)) }

// limit is how many items there are at most.
func (p *params) limit() int64 {
	if p.TotalItems == nil {
		return math.MaxInt64
	}
	return *p.TotalItems
}

// title is what people see of a task that was given none.
func (p *params) title(shown command.Request) string {
	what := "numbers"
	if p.Input != "" {
		what = base(p.Input)
	}
	if len(p.Command) == 0 {
		return what + " in batches"
	}
	return what + " -> " + shown.Title()
}
