package store

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"durable/ipc/task"
)

// Record is a task as the store keeps it: what clients see, and what only the engine needs to know.
type Record struct {
	// Task is without secrets. Its Checkpoint is maintained by [Tx.PutCheckpoint]: what stands there
	// when a record is put is ignored.
	Task task.Task
	// Failures counts the attempts that count against the retry policy.
	Failures int
	// Interruptions counts those in a row without a new checkpoint in between.
	Interruptions int
	// Effects are what the policy has a say in: what the task's kind said of it when it was submitted.
	Effects []task.Effect
	// Nonce tells the current attempt from any other that has ever been.
	Nonce string
	// Survives: the current attempt is one of a job.Survivor, whose work goes on without the daemon. It says
	// nothing of a task that is not running.
	Survives bool
	// CleanPending: the task has ended, but its kind has not cleaned up after it yet.
	CleanPending bool
	// Keys are the idempotency entries that name the task; [Tx.PutKey] adds to them.
	Keys []string
}

// stored is a record as it is encoded.
type stored struct {
	Record
	// ParamsApart: the parameters are in a region of their own.
	ParamsApart bool
}

// The numbers below are the file format: never changed, never used again for something else.

var errorFields = newMessage(
	text(1, func(e *task.Error) *task.Code { return &e.Code }),
	text(2, func(e *task.Error) *string { return &e.Message }),
	text(3, func(e *task.Error) *string { return &e.Hint }),
	details(4, func(e *task.Error) *map[string]any { return &e.Details }),
)

var progressFields = newMessage(
	whole(1, func(p *task.Progress) *int64 { return &p.Done }),
	wholeAt(2, func(p *task.Progress) **int64 { return &p.Total }),
	text(3, func(p *task.Progress) *string { return &p.Unit }),
	text(4, func(p *task.Progress) *string { return &p.Message }),
	rate(5),
	wholeAt(6, func(p *task.Progress) **task.Duration { return &p.ETA }),
)

var retryFields = newMessage(
	whole(1, func(r *task.Retry) *int { return &r.MaxAttempts }),
	whole(2, func(r *task.Retry) *task.Duration { return &r.Backoff }),
	whole(3, func(r *task.Retry) *task.Duration { return &r.MaxBackoff }),
	boolean(4, func(r *task.Retry) *bool { return &r.Lost }),
)

var ownerFields = newMessage(
	whole(1, func(o *task.Owner) *int { return &o.UID }),
	text(2, func(o *task.Owner) *string { return &o.Client }),
	text(3, func(o *task.Owner) *string { return &o.Via }),
)

var effectFields = newMessage(
	text(1, func(e *task.Effect) *string { return &e.Act }),
	text(2, func(e *task.Effect) *string { return &e.Program }),
	text(3, func(e *task.Effect) *string { return &e.Folder }),
	text(4, func(e *task.Effect) *string { return &e.Path }),
)

var approvalFields = newMessage(
	list(1, func(a *task.Approval) *[]task.Effect { return &a.Effects }, effectFields.append, effectFields.parse),
	instant(2, func(a *task.Approval) *time.Time { return &a.AskedAt }),
	instant(3, func(a *task.Approval) *time.Time { return &a.ExpiresAt }),
)

var attemptFields = newMessage(
	whole(1, func(a *task.Attempt) *int { return &a.Number }),
	instant(2, func(a *task.Attempt) *time.Time { return &a.StartedAt }),
	instant(3, func(a *task.Attempt) *time.Time { return &a.EndedAt }),
	text(4, func(a *task.Attempt) *task.Outcome { return &a.Outcome }),
	text(5, func(a *task.Attempt) *string { return &a.Error }),
)

var questionFields = newMessage(
	text(1, func(q *task.Question) *string { return &q.Key }),
	text(2, func(q *task.Question) *string { return &q.Message }),
	raw(3, func(q *task.Question) *rawJSON { return &q.Schema }),
	instant(4, func(q *task.Question) *time.Time { return &q.AskedAt }),
)

var recordFields = newMessage(
	ident(1, func(r *stored) *task.ID { return &r.Task.ID }),
	natural(2, func(r *stored) *uint64 { return &r.Task.Number }),
	text(3, func(r *stored) *string { return &r.Task.Kind }),
	text(4, func(r *stored) *task.Status { return &r.Task.Status }),
	text(5, func(r *stored) *task.Phase { return &r.Task.Phase }),
	whole(6, func(r *stored) *int { return &r.Task.Priority }),
	ident(7, func(r *stored) *task.ID { return &r.Task.RootID }),
	instantAt(8, func(r *stored) **time.Time { return &r.Task.CompletedAt }),
	instantAt(9, func(r *stored) **time.Time { return &r.Task.RunAt }),
	instantAt(10, func(r *stored) **time.Time { return &r.Task.NextAttemptAt }),
	boolean(11, func(r *stored) *bool { return &r.CleanPending }),
	boolean(12, func(r *stored) *bool { return &r.ParamsApart }),

	text(13, func(r *stored) *string { return &r.Task.Title }),
	text(14, func(r *stored) *task.Outcome { return &r.Task.Outcome }),
	text(15, func(r *stored) *string { return &r.Task.Reason }),
	whole(16, func(r *stored) *int { return &r.Task.Attempt }),
	object(17, progressFields, func(r *stored) *task.Progress { return &r.Task.Progress }),
	raw(18, func(r *stored) *rawJSON { return &r.Task.Result }),
	objectAt(19, errorFields, func(r *stored) **task.Error { return &r.Task.Error }),
	objectAt(20, errorFields, func(r *stored) **task.Error { return &r.Task.LastError }),
	raw(21, func(r *stored) *rawJSON { return &r.Task.Params }),
	labels(22, func(r *stored) *map[string]string { return &r.Task.Labels }),
	text(23, func(r *stored) *string { return &r.Task.Queue }),
	whole(24, func(r *stored) *task.Duration { return &r.Task.Timeout }),
	objectAt(25, retryFields, func(r *stored) **task.Retry { return &r.Task.Retry }),
	text(26, func(r *stored) *task.Restart { return &r.Task.Restart }),
	object(27, ownerFields, func(r *stored) *task.Owner { return &r.Task.Owner }),
	text(28, func(r *stored) *string { return &r.Task.Host }),
	ident(29, func(r *stored) *task.ID { return &r.Task.RetryOf }),
	ident(30, func(r *stored) *task.ID { return &r.Task.RetriedBy }),
	ident(31, func(r *stored) *task.ID { return &r.Task.ParentID }),
	ident(32, func(r *stored) *task.ID { return &r.Task.ScheduleID }),
	list(33, func(r *stored) *[]task.ID { return &r.Task.DependsOn }, func(b []byte, id *task.ID) []byte { return appendID(b, *id) }, parseID),
	list(34, func(r *stored) *[]task.Attempt { return &r.Task.Attempts }, attemptFields.append, attemptFields.parse),
	objectAt(35, questionFields, func(r *stored) **task.Question { return &r.Task.Question }),
	instant(36, func(r *stored) *time.Time { return &r.Task.CreatedAt }),
	instantAt(37, func(r *stored) **time.Time { return &r.Task.StartedAt }),
	instant(38, func(r *stored) *time.Time { return &r.Task.UpdatedAt }),
	instantAt(39, func(r *stored) **time.Time { return &r.Task.CancelRequestedAt }),
	instantAt(40, func(r *stored) **time.Time { return &r.Task.ExpiresAt }),
	objectAt(approvalField, approvalFields, func(r *stored) **task.Approval { return &r.Task.Approval }),

	whole(60, func(r *stored) *int { return &r.Failures }),
	whole(61, func(r *stored) *int { return &r.Interruptions }),
	text(62, func(r *stored) *string { return &r.Nonce }),
	list(63, func(r *stored) *[]string { return &r.Keys }, appendString, parseString),
	boolean(64, func(r *stored) *bool { return &r.Survives }),
	list(65, func(r *stored) *[]task.Effect { return &r.Effects }, effectFields.append, effectFields.parse),
)

// indexedFields are those that the indexes are made of: all that a change has to know of the record
// that it replaces.
var indexedFields = func() message[stored] {
	m := make(message[stored], approvalField+1)
	copy(m, recordFields[:13])
	m[approvalField] = recordFields[approvalField]
	return m
}()

const approvalField = 41

var summaryFields = newMessage(
	natural(1, func(s *task.Summary) *uint64 { return &s.Number }),
	text(2, func(s *task.Summary) *string { return &s.Kind }),
	text(3, func(s *task.Summary) *string { return &s.Title }),
	text(4, func(s *task.Summary) *task.Status { return &s.Status }),
	text(5, func(s *task.Summary) *task.Phase { return &s.Phase }),
	text(6, func(s *task.Summary) *task.Outcome { return &s.Outcome }),
	text(7, func(s *task.Summary) *string { return &s.Reason }),
	whole(8, func(s *task.Summary) *int { return &s.Attempt }),
	object(9, progressFields, func(s *task.Summary) *task.Progress { return &s.Progress }),
	text(10, func(s *task.Summary) *string { return &s.Error }),
)

// Fields of an event that [EventFilter] looks at.
const (
	eventType = 2
	eventTask = 3
)

var eventFields = newMessage(
	instant(1, func(e *task.Event) *time.Time { return &e.Time }),
	text(eventType, func(e *task.Event) *task.EventType { return &e.Type }),
	ident(eventTask, func(e *task.Event) *task.ID { return &e.TaskID }),
	objectAt(4, summaryFields, func(e *task.Event) **task.Summary { return &e.Task }),
	text(5, func(e *task.Event) *string { return &e.Message }),
)

// checkpoint describes the data that follows it in its entry.
type checkpoint struct {
	At      time.Time
	Attempt int
	Bytes   int
	Sum     uint64 // the data's checksum
}

var checkpointFields = newMessage(
	instant(1, func(c *checkpoint) *time.Time { return &c.At }),
	whole(2, func(c *checkpoint) *int { return &c.Attempt }),
	whole(3, func(c *checkpoint) *int { return &c.Bytes }),
	natural(4, func(c *checkpoint) *uint64 { return &c.Sum }),
)

var stateFields = newMessage(
	boolean(1, func(s *state) *bool { return &s.Clean }),
	lastID(2),
	natural(3, func(s *state) *uint64 { return &s.LastNumber }),
	natural(4, func(s *state) *uint64 { return &s.FirstSeq }),
	natural(5, func(s *state) *uint64 { return &s.LastSeq }),
	whole(6, func(s *state) *int64 { return &s.Counts[statusPending] }),
	whole(7, func(s *state) *int64 { return &s.Counts[statusRunning] }),
	whole(8, func(s *state) *int64 { return &s.Counts[statusCompleted] }),
	whole(9, func(s *state) *int64 { return &s.Counts[statusFailed] }),
	whole(10, func(s *state) *int64 { return &s.Counts[statusCancelled] }),
	whole(11, func(s *state) *int64 { return &s.Ready }),
)

func lastID(num protowire.Number) field[state] {
	return field[state]{num, protowire.BytesType,
		func(b []byte, s *state) []byte {
			return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), s.LastID[:])
		},
		func(s *state, val value) error { copy(s.LastID[:], val.b); return nil }}
}

func rate(num protowire.Number) field[task.Progress] {
	return field[task.Progress]{num, protowire.Fixed64Type,
		func(b []byte, p *task.Progress) []byte {
			if p.Rate == 0 {
				return b
			}
			return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), math.Float64bits(p.Rate))
		},
		func(p *task.Progress, val value) error { p.Rate = math.Float64frombits(val.n); return nil }}
}

func appendString(b []byte, s *string) []byte { return append(b, *s...) }
func parseString(b []byte, s *string) error   { *s = string(b); return nil }
func parseID(b []byte, id *task.ID) error     { *id = unpackID(b); return nil }
