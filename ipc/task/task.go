package task

import (
	"encoding/json"
	"math"
	"time"
)

// Task is a durable background job as every client sees it. It is a value: a copy never changes.
type Task struct {
	// ID is a UUIDv7; no ID is ever smaller than one given out before it.
	ID ID `json:"id"`
	// Number is short and never reused: what people type.
	Number uint64 `json:"number"`
	Kind   string `json:"kind"`
	Title  string `json:"title"`

	Status  Status  `json:"status"`
	Phase   Phase   `json:"phase"`
	Outcome Outcome `json:"outcome"`
	// Reason explains a state that needs it, as one of the Reason words or a sentence.
	Reason string `json:"reason,omitempty"`

	// Attempt is the number of the current or last attempt; 0 before the first.
	Attempt  int      `json:"attempt"`
	Progress Progress `json:"progress"`

	// Result is what the kind returned, of a completed task; Error why a failed one failed. LastError
	// is the error of the last attempt that did not succeed, whatever became of the task since.
	Result    json.RawMessage `json:"result"`
	Error     *Error          `json:"error"`
	LastError *Error          `json:"last_error"`

	// Params are the parameters as the kind has normalised them, secrets masked.
	Params json.RawMessage   `json:"params"`
	Labels map[string]string `json:"labels"`

	Queue    string   `json:"queue"`
	Priority int      `json:"priority"`
	Timeout  Duration `json:"timeout,omitempty"`
	Retry    *Retry   `json:"retry,omitempty"`
	Restart  Restart  `json:"restart,omitempty"`

	Owner Owner  `json:"owner"`
	Host  string `json:"host,omitempty"`

	// RetryOf is the ended task that this one repeats, RootID the first of that line (its own ID if
	// it repeats none).
	RetryOf ID `json:"retry_of,omitempty"`
	RootID  ID `json:"root_id,omitempty"`
	// RetriedBy is the latest task that repeats this one.
	RetriedBy  ID   `json:"retried_by,omitempty"`
	ParentID   ID   `json:"parent_id,omitempty"`
	ScheduleID ID   `json:"schedule_id,omitempty"`
	DependsOn  []ID `json:"depends_on,omitempty"`

	// Attempts tells of the latest attempts that have ended, oldest first.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Checkpoint tells when the task last made its position durable, and how large that is.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	// Approval is what a task in phase awaiting_approval waits for.
	Approval *Approval `json:"approval,omitempty"`
	// Question is what a task in phase input_required asks.
	Question *Question `json:"question,omitempty"`

	CreatedAt         time.Time  `json:"created_at"`
	StartedAt         *time.Time `json:"started_at"`
	UpdatedAt         time.Time  `json:"updated_at"`
	CompletedAt       *time.Time `json:"completed_at"`
	RunAt             *time.Time `json:"run_at,omitempty"`
	NextAttemptAt     *time.Time `json:"next_attempt_at,omitempty"`
	CancelRequestedAt *time.Time `json:"cancel_requested_at,omitempty"`
	ExpiresAt         *time.Time `json:"expires_at,omitempty"`
}

// State returns where t stands.
func (t Task) State() State { return State{t.Status, t.Phase} }

// Owner is who submitted a task.
type Owner struct {
	UID int `json:"uid"`
	// Client names the program, as it named itself: "claude-ai 0.14", "durablectl". Not to be trusted.
	Client string `json:"client,omitempty"`
	// Via is the door: one of the Via words. Not to be trusted either.
	Via string `json:"via,omitempty"`
}

// Approval is what a person is asked to allow.
type Approval struct {
	// Effects say what the task would do.
	Effects []Effect  `json:"effects"`
	AskedAt time.Time `json:"asked_at"`
	// ExpiresAt is when the task ends cancelled if nobody has answered.
	ExpiresAt time.Time `json:"expires_at"`
}

// Effect is something that a task does and that the policy has a say in.
type Effect struct {
	// Act is one of the Act words.
	Act string `json:"act"`
	// Program is the absolute path of what is run, Folder where: for ActRun.
	Program string `json:"program,omitempty"`
	Folder  string `json:"folder,omitempty"`
	// Path is what is overwritten: for ActOverwrite.
	Path string `json:"path,omitempty"`
}

// The acts that a policy knows.
const (
	ActRun       = "run"
	ActOverwrite = "overwrite"
)

// Attempt tells how one attempt of a task ended.
type Attempt struct {
	Number    int       `json:"number"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	Outcome   Outcome   `json:"outcome"`
	Error     string    `json:"error,omitempty"`
}

// Checkpoint describes a durable position, not its content.
type Checkpoint struct {
	At      time.Time `json:"at"`
	Bytes   int       `json:"bytes"`
	Attempt int       `json:"attempt"`
}

// MaxCheckpoint is the largest checkpoint that is kept inline, in bytes. Larger ones are files in the
// task's folder, referenced by a small checkpoint after their fsync.
const MaxCheckpoint = 256 << 10

// Progress is how far a task is. It is a report, not a promise: it may be a second old after a crash.
type Progress struct {
	Done int64 `json:"done"`
	// Total is nil while it is not known.
	Total   *int64 `json:"total"`
	Unit    string `json:"unit,omitempty"`
	Message string `json:"message,omitempty"`
	// Rate is in units a second, 0 when unknown. The engine computes it unless the job reports one.
	Rate float64 `json:"rate,omitempty"`
	// ETA is the time left, nil when unknown. The engine computes it unless the job reports one.
	ETA *Duration `json:"eta,omitempty"`
}

// Percent returns 0 to 100, and false when the total is not known. A total of 0 is all done.
func (p Progress) Percent() (float64, bool) {
	if p.Total == nil {
		return 0, false
	}
	if *p.Total <= 0 {
		return 100, true
	}
	return min(100, max(0, 100*float64(p.Done)/float64(*p.Total))), true
}

// Total returns a pointer to n, for [Progress.Total].
func Total(n int64) *int64 { return &n }

// Duration is a time.Duration that is written "1h2m3s" in JSON and read from that or from seconds.
type Duration time.Duration

// maxSeconds is what a Duration can hold, about 292 years; beyond it the conversion is undefined.
const maxSeconds = float64(math.MaxInt64/int64(time.Second)) - 1

// MarshalJSON writes d as a Go duration string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads a Go duration string or a number of seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil {
			return Errorf(InvalidArgument, "duration %q: want a number with a unit, such as \"90s\", \"10m\" or \"2h\"", v)
		}
		*d = Duration(parsed)
	case float64:
		if math.Abs(v) > maxSeconds {
			return Errorf(InvalidArgument, "duration %s: beyond %.0f seconds", b, maxSeconds)
		}
		*d = Duration(v * float64(time.Second))
	case nil:
		*d = 0
	default:
		return Errorf(InvalidArgument, "duration %s: want a string such as \"90s\", or a number of seconds", b)
	}
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Artifact is a file that a task left as its result.
type Artifact struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"`
}

// Question is what an attempt asks a person; Key tells its questions apart and makes the answer durable
// under that name.
type Question struct {
	Key     string          `json:"key"`
	Message string          `json:"message"`
	Schema  json.RawMessage `json:"schema,omitempty"`
	AskedAt time.Time       `json:"asked_at"`
}
