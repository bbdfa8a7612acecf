package task

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Key is an idempotency key. A request that is repeated under its key has its effect once; the answer to
// a repetition is the task as it is now. Under the same key another request is a [Conflict]. Keys are
// scoped by user and method. The empty key makes no promise. Keys of our own clients are UUIDv7: they
// sort by time, which keeps the store's key index dense.
type Key string

// Service is the one interface to tasks: the engine implements it, the client implements it over the
// socket, and so will engines beyond one machine. Every method may be called from any goroutine. Errors
// are *[Error] in all implementations; a method that an implementation does not have answers
// [Unimplemented].
//
// A method that changes something answers after that change is durable.
//
// The ctx of Events, Log and OpenArtifact governs what they return as long as it is open. A stream or a
// followed log that ends because the service leaves ends with an error, never with io.EOF: that means
// that there is no more.
type Service interface {
	// Info tells of the daemon, Kinds of what it can run, Stats of its figures.
	Info(ctx context.Context) (Info, error)
	Kinds(ctx context.Context) ([]KindInfo, error)
	Stats(ctx context.Context) (Stats, error)

	// Submit accepts a task. Once it has answered, the task is never lost. The answer is the task as it is by then: where a slot was
	// free, it has begun.
	Submit(ctx context.Context, spec Spec, key Key) (Task, error)
	Get(ctx context.Context, ref Ref) (Task, error)
	List(ctx context.Context, q ListQuery) (TaskList, error)
	// Wait answers when the task is terminal, or with the task as it is when timeout has passed. A
	// timeout of 0 or less answers at once. It is no error when the task still runs.
	Wait(ctx context.Context, ref Ref, timeout time.Duration) (Task, error)
	Events(ctx context.Context, q EventQuery) (EventStream, error)

	// Cancel answers once the cancel is committed: a task that runs may still be stopping then.
	// A terminal task is a [FailedPrecondition], unless it is cancelled already.
	Cancel(ctx context.Context, ref Ref, req CancelRequest, key Key) (Task, error)
	Pause(ctx context.Context, ref Ref, key Key) (Task, error)
	Resume(ctx context.Context, ref Ref, key Key) (Task, error)
	// Retry submits a new task that repeats a terminal one, from a copy of its checkpoint.
	Retry(ctx context.Context, ref Ref, req RetryRequest, key Key) (Task, error)
	Approve(ctx context.Context, ref Ref, req ApproveRequest, key Key) (Task, error)
	// Answer gives the answer to the question that the task asks.
	Answer(ctx context.Context, ref Ref, req AnswerRequest, key Key) (Task, error)
	// Forget removes a terminal task with its log and artifacts. One that is not terminal is a
	// [FailedPrecondition].
	Forget(ctx context.Context, ref Ref) error

	// Stdin writes to a command's input at an offset: what lies before the end is taken as a
	// repetition. It answers the new end.
	Stdin(ctx context.Context, ref Ref, req StdinRequest) (StdinState, error)
	// Log opens an attempt's output. The caller closes its Body.
	Log(ctx context.Context, ref Ref, q LogQuery) (Log, error)
	Artifacts(ctx context.Context, ref Ref) ([]Artifact, error)
	// OpenArtifact opens one artifact. The caller closes it.
	OpenArtifact(ctx context.Context, ref Ref, name string) (Artifact, io.ReadCloser, error)

	// Backup writes a consistent copy of the store to a new file while everything goes on.
	Backup(ctx context.Context, req BackupRequest) (BackupResult, error)
	// Reload reads the configuration again; an invalid one changes nothing.
	Reload(ctx context.Context) (ReloadResult, error)
	// Drain holds the queue back (or lets it go on): nothing new is started, all that runs goes on,
	// submits are accepted.
	Drain(ctx context.Context, req DrainRequest) (Info, error)
	Prune(ctx context.Context, req PruneRequest) (PruneResult, error)
	// Shutdown answers, and then the daemon leaves: running tasks checkpoint and stay recoverable.
	Shutdown(ctx context.Context, req ShutdownRequest) error
}

// Order is the order of a list.
type Order string

const (
	// OrderCreated: the newest submit first. The default.
	OrderCreated Order = "created"
	// OrderEnded: the latest end first; only tasks that have ended.
	OrderEnded Order = "ended"
)

// Limits of a list.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// ListQuery selects tasks. The zero value: all, newest first, [DefaultLimit] of them.
type ListQuery struct {
	Status []Status
	Kind   string
	Root   ID
	Labels map[string]string
	Order  Order
	// Limit is at most [MaxLimit]; 0 is [DefaultLimit].
	Limit int
	// Cursor is the NextCursor of the page before; the rest of the query must be the same.
	Cursor string
}

// TaskList is a page of tasks.
type TaskList struct {
	Tasks []Task `json:"tasks"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor,omitempty"`
	// Total is the number of tasks in all, for a query without a filter or by status alone; else nil.
	Total *int `json:"total"`
	// Cursor is the place in the journal of the same read: events after it are what the list does not
	// know yet.
	Cursor Cursor `json:"cursor"`
}

// CancelRequest says why.
type CancelRequest struct {
	Reason string `json:"reason,omitempty"`
}

// RetryRequest says how the new task differs from the old one.
type RetryRequest struct {
	// Fresh: start from the beginning, not from the checkpoint.
	Fresh bool `json:"fresh,omitempty"`
	// Env are values that were secret and gone with the end of the old task; a kind that takes an
	// environment needs those anew that its parameters name.
	Env map[string]string `json:"env,omitempty"`
	// Environ is the caller's whole environment, as NAME=value: a command that was started with its caller's gets this one.
	// Nothing of the old one is kept, so without it such a command gets the login shell's.
	Environ []string `json:"environ,omitempty"`
}

// ApproveRequest is a yes.
type ApproveRequest struct {
	// Always: also for the like of it from now on.
	Always bool `json:"always,omitempty"`
}

// AnswerRequest answers the question with that key.
type AnswerRequest struct {
	Question string          `json:"question"`
	Answer   json.RawMessage `json:"answer"`
}

// StdinAtEnd as an offset means the end of the input so far.
const StdinAtEnd = -1

// StdinRequest is a piece of input.
type StdinRequest struct {
	// Offset is where Data belongs: what of it lies before the end of the input so far is a repetition and left out.
	// [StdinAtEnd], like any other below 0, is that end: nothing is left out, and a repetition is not known as one.
	// Beyond the end it is an [OutOfRange]. With neither Data nor Close the request only asks for the state.
	Offset int64
	Data   io.Reader
	// Close ends the input after Data.
	Close bool
}

// StdinState is how much input a task has been given.
type StdinState struct {
	Offset int64 `json:"offset"`
	Closed bool  `json:"closed"`
}

// The streams of a log: jobs of the daemon write StreamLog, commands the other two.
const (
	StreamLog    = "log"
	StreamStdout = "stdout"
	StreamStderr = "stderr"
	// TimesSuffix makes of a stream's name that of its times: lines "OFFSET TIME\n", the byte before which all was
	// written at that moment (RFC 3339, UTC). Lines are in order; not every write has one.
	TimesSuffix = ".times"
)

// LogQuery selects a part of an attempt's output. The zero value: all of the last attempt's log.
type LogQuery struct {
	// Stream is one of the Stream words; empty is the kind's main one.
	Stream string
	// Attempt is 1 for the first; 0 for the last one that has any output.
	Attempt int
	// Offset is in bytes from the beginning; Tail, if greater than 0, asks for that many last lines instead.
	Offset int64
	Tail   int
	// Follow: the body goes on until the attempt has ended.
	Follow bool
}

// Log is an open part of a log.
type Log struct {
	Stream  string
	Attempt int
	// Offset is where Body begins, Size the length of the log when it was opened, both in bytes. A log that has
	// outgrown its limit has a hole: its middle was dropped, offsets stay what they were. Body ends where a hole
	// begins, and Offset is greater than asked for where one was there.
	Offset int64
	Size   int64
	// Ended: the attempt has ended; nothing more will come.
	Ended bool
	Body  io.ReadCloser
}

// BackupRequest names the file: absolute, and not there yet.
type BackupRequest struct {
	Path string `json:"path"`
	// WithSecrets: include environment values and passwords.
	WithSecrets bool `json:"with_secrets,omitempty"`
}

// BackupResult tells of a backup that is complete and synced.
type BackupResult struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Tasks int    `json:"tasks"`
}

// ReloadResult tells what a reload changed.
type ReloadResult struct {
	Changed []string `json:"changed"`
}

// DrainRequest holds the queue back, or lets it go on when Resume is set.
type DrainRequest struct {
	Resume bool `json:"resume,omitempty"`
}

// PruneRequest says what may go: of the tasks that have ended, those that ended longer ago than OlderThan, and
// the oldest ones until the rest takes at most MaxBytes. Zero is the configuration's own limit.
type PruneRequest struct {
	OlderThan Duration `json:"older_than,omitempty"`
	MaxBytes  int64    `json:"max_bytes,omitempty"`
	DryRun    bool     `json:"dry_run,omitempty"`
}

// PruneResult tells what went.
type PruneResult struct {
	Tasks int   `json:"tasks"`
	Bytes int64 `json:"bytes"`
}

// ShutdownRequest asks the daemon to leave.
type ShutdownRequest struct {
	// Restart: it is meant to come back; the mark of a deliberate stop is not set.
	Restart bool `json:"restart,omitempty"`
	// EndPrograms: what would outlive the daemon ends with it. Its tasks are interrupted, and go on at the next start.
	EndPrograms bool `json:"end_programs,omitempty"`
}
