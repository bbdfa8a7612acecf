package task

import "time"

// EventType says what an event tells of. Clients ignore types that they do not know.
type EventType string

const (
	EventSubmitted  EventType = "submitted"
	EventStarted    EventType = "started"
	EventProgress   EventType = "progress"
	EventCheckpoint EventType = "checkpoint"
	// EventStatus: status or phase changed in any other way, the end included.
	EventStatus  EventType = "status"
	EventRemoved EventType = "removed"
	// EventKinds: the kinds changed; TaskID is empty.
	EventKinds EventType = "kinds"
	// EventDaemon: the daemon started, drains or takes submits again; TaskID is empty.
	EventDaemon EventType = "daemon"
)

// EventTypes lists every type.
var EventTypes = []EventType{
	EventSubmitted, EventStarted, EventProgress, EventCheckpoint, EventStatus, EventRemoved, EventKinds, EventDaemon,
}

// Event is one thing that happened. Events are journalled in the transaction that they tell of and sent
// after its commit, except progress: that goes out at once, is never journalled and has no Cursor.
type Event struct {
	// Cursor is the event's place in the journal; empty for progress.
	Cursor Cursor    `json:"cursor,omitempty"`
	Time   time.Time `json:"time"`
	Type   EventType `json:"type"`
	TaskID ID        `json:"task_id"`
	Task   *Summary  `json:"task,omitempty"`
	// Message is for people; the details of an event without a task.
	Message string `json:"message,omitempty"`
}

// Summary is what an event says of its task: enough to show a line and to decide whether to ask for all.
type Summary struct {
	Number   uint64   `json:"number"`
	Kind     string   `json:"kind,omitempty"`
	Title    string   `json:"title,omitempty"`
	Status   Status   `json:"status"`
	Phase    Phase    `json:"phase"`
	Outcome  Outcome  `json:"outcome,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Attempt  int      `json:"attempt,omitempty"`
	Progress Progress `json:"progress"`
	// Error is the message of the error with which the task ended or, while it waits for another attempt,
	// the last one did.
	Error string `json:"error,omitempty"`
}

// Summary returns t as events tell of it.
func (t Task) Summary() *Summary {
	s := &Summary{
		Number: t.Number, Kind: t.Kind, Title: t.Title, Status: t.Status, Phase: t.Phase,
		Outcome: t.Outcome, Reason: t.Reason, Attempt: t.Attempt, Progress: t.Progress,
	}
	switch {
	case t.Error != nil:
		s.Error = t.Error.Message
	case t.LastError != nil && t.Status == StatusPending:
		s.Error = t.LastError.Message
	}
	return s
}

// Cursor is a place in the journal of one service. It is opaque to clients: they may only keep it
// and give it back. An empty one means "from now on".
type Cursor string

// CursorStart is the beginning of what the journal still has.
const CursorStart Cursor = "start"

// EventQuery selects events.
type EventQuery struct {
	// After is the cursor of the last event seen: of an event, or of a [TaskList]. Empty: from now on.
	After Cursor
	// Task, if set, leaves only the events of that task.
	Task Ref
	// Follow: go on with what happens from now on; otherwise end with the journal.
	Follow bool
	// Type, if set, leaves only the events of that type, which is not progress: for those within the daemon. A client's is an
	// [Unimplemented].
	Type EventType
	// Lag is how long events may be held back so that several come together: for those within the daemon who are in no hurry, and
	// must not take the processor from a commit. Clients have none.
	Lag time.Duration
}

// EventStream is a running query. Next blocks until there is an event and returns io.EOF at the
// end of one that does not follow. A consumer that is slow loses no journalled event, and of the
// progress of each task it gets the latest. Next is for one goroutine at a time; Close may be called
// from any and ends a blocked Next.
type EventStream interface {
	Next() (Event, error)
	Close() error
}
