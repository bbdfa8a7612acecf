package task

import (
	"encoding/json"
	"time"
)

// Spec is what a caller asks for. Params are the kind's own; the kind checks them before the task is
// accepted. The zero value of every other field is its default.
type Spec struct {
	Kind   string            `json:"kind"`
	Title  string            `json:"title,omitempty"`
	Params json.RawMessage   `json:"params,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`

	Queue    string     `json:"queue,omitempty"`
	Priority int        `json:"priority,omitempty"`
	Timeout  Duration   `json:"timeout,omitempty"`
	Retry    *Retry     `json:"retry,omitempty"`
	Restart  Restart    `json:"restart,omitempty"`
	RunAt    *time.Time `json:"run_at,omitempty"`

	ParentID  ID         `json:"parent_id,omitempty"`
	DependsOn []ID       `json:"depends_on,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// Retry is the policy for attempts that did not succeed. Interruptions do not count.
type Retry struct {
	// MaxAttempts is the number of attempts in all; 0 and 1 both mean no retry.
	MaxAttempts int `json:"max_attempts"`
	// Backoff is the wait before the second attempt; it doubles from there, with jitter, up to MaxBackoff.
	Backoff    Duration `json:"backoff,omitempty"`
	MaxBackoff Duration `json:"max_backoff,omitempty"`
	// Lost: also retry when it is not known how the attempt ended. The work may then be done twice.
	Lost bool `json:"lost,omitempty"`
}

// Defaults of [Retry].
const (
	DefaultBackoff    = Duration(10 * time.Second)
	DefaultMaxBackoff = Duration(5 * time.Minute)
)

// Restart says when another attempt follows the end of one, besides the retry policy.
type Restart string

const (
	// RestartDefault is on-interrupt.
	RestartDefault Restart = ""
	// RestartOnInterrupt: when the daemon or the machine went down under it.
	RestartOnInterrupt Restart = "on-interrupt"
	// RestartOnFailure: also when it failed.
	RestartOnFailure Restart = "on-failure"
	// RestartAlways: whenever it ends, unless cancelled.
	RestartAlways Restart = "always"
	// RestartNever: never, not even after a reboot.
	RestartNever Restart = "never"
)

// Limits of a Spec; each has an error of its own.
const (
	MaxParams      = 1 << 20 // bytes of Params
	MaxTitle       = 200     // runes of Title
	MaxLabels      = 32      // entries of Labels
	MaxLabel       = 200     // bytes of a label's name or value
	MaxAttempts    = 1000    // Retry.MaxAttempts
	MaxPriority    = 1000    // priorities lie between -MaxPriority and MaxPriority
	MaxKey         = 255     // bytes of an idempotency key
	DefaultQueue   = "default"
	MaxDependsOn   = 1000
	MaxQueueLength = 64 // bytes of a queue's name
)

// Validate checks everything about s that does not depend on its kind. The error is an
// [InvalidArgument] that names the field.
func (s Spec) Validate() error {
	switch {
	case s.Kind == "":
		return Errorf(InvalidArgument, "kind: missing").WithHint("GET /v1/kinds, or durablectl kinds, lists them")
	case len(s.Params) > MaxParams:
		return Errorf(InvalidArgument, "params: %d bytes, the limit is %d", len(s.Params), MaxParams).
			WithHint("put the data into a file and name the file")
	case len([]rune(s.Title)) > MaxTitle:
		return Errorf(InvalidArgument, "title: longer than %d characters", MaxTitle)
	case len(s.Queue) > MaxQueueLength:
		return Errorf(InvalidArgument, "queue: longer than %d bytes", MaxQueueLength)
	case s.Priority < -MaxPriority || s.Priority > MaxPriority:
		return Errorf(InvalidArgument, "priority: %d, want %d to %d", s.Priority, -MaxPriority, MaxPriority)
	case s.Timeout < 0:
		return Errorf(InvalidArgument, "timeout: %s is negative", s.Timeout)
	case len(s.DependsOn) > MaxDependsOn:
		return Errorf(InvalidArgument, "depends_on: %d tasks, the limit is %d", len(s.DependsOn), MaxDependsOn)
	}
	if err := s.validateLabels(); err != nil {
		return err
	}
	if err := s.Restart.validate(); err != nil {
		return err
	}
	return s.Retry.validate()
}

func (s Spec) validateLabels() error {
	if len(s.Labels) > MaxLabels {
		return Errorf(InvalidArgument, "labels: %d, the limit is %d", len(s.Labels), MaxLabels)
	}
	for name, value := range s.Labels {
		if name == "" || len(name) > MaxLabel || len(value) > MaxLabel {
			return Errorf(InvalidArgument, "labels: %.40q: names have 1 to %d bytes, values at most %d", name, MaxLabel, MaxLabel)
		}
	}
	return nil
}

func (r Restart) validate() error {
	switch r {
	case RestartDefault, RestartOnInterrupt, RestartOnFailure, RestartAlways, RestartNever:
		return nil
	}
	return Errorf(InvalidArgument, "restart: %q, want on-interrupt, on-failure, always or never", string(r))
}

func (r *Retry) validate() error {
	switch {
	case r == nil:
		return nil
	case r.MaxAttempts < 0 || r.MaxAttempts > MaxAttempts:
		return Errorf(InvalidArgument, "retry.max_attempts: %d, want 0 to %d", r.MaxAttempts, MaxAttempts)
	case r.Backoff < 0 || r.MaxBackoff < 0:
		return Errorf(InvalidArgument, "retry: a backoff is negative")
	}
	return nil
}
