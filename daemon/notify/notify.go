// Package notify tells the person at the desktop that a task has ended which took its time: more than a minute, or what
// [notify] in config.toml says.
//
// A [Notifier] hears of endings as every client does, from the stream of events, so after their commit and out of the
// engine's way. What is worth a word is decided in one place (say.go). Showing it may block, for as long as whoever draws
// on the screen pleases: it is done by a goroutine of its own, within a bound, and what comes meanwhile waits in a short
// queue and is dropped beyond that. Several that wait are one notification.
//
// Where nobody looks nothing is shown and nothing is said: a daemon of the system has no session bus, a server has no
// desktop. A log line on every ending would tell its owner what he knows; there is one at the level of debugging.
//
// # Design
//
// On macOS and Windows gen2brain/beeep shows it, by osascript and by the toasts of the Windows Runtime. Both are given plain
// text only: beeep's way round a Windows without that runtime is a PowerShell script into which the text is pasted, and
// a title comes from whoever starts a task (plain.go). On Linux it is one call on the session bus, by godbus/dbus, which
// beeep uses too: its own way there has no bound in time, starts a bus where there is none, and does not escape what servers
// read as markup.
//
// Rejected: notifications by durable-mcp or durablectl, which are gone by then; a hook in the engine, for which an ending
// would have to wait; a word about every failure, since who is told of a failure within the minute still looks.
package notify

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// Note is what a person sees: two lines and a bit, in plain text.
type Note struct {
	Title, Body string
	// Failed is set for bad news.
	Failed bool
}

// Options are what a Notifier works with.
type Options struct {
	// Tasks is where endings are heard of.
	Tasks task.Service
	// After returns how long a task has to take so that its end is told; ok is false when nothing is.
	After func() (after time.Duration, ok bool)
	// Show shows one note; nil is [Desktop].
	Show   func(context.Context, Note) error
	Logger *slog.Logger
}

// Notifier runs once.
type Notifier struct {
	o      Options
	stream task.EventStream
	queue  chan Note
}

const (
	// queueLen is how many notes wait while one is shown.
	queueLen = 64
	// separate is how many that wait are shown one by one; more are one note.
	separate = 3
	// lag is how long an ending may wait until it is heard of. A person does not notice it, and the stream sleeps through most of
	// what a busy daemon commits.
	lag = 200 * time.Millisecond
	// patience is how long showing one may take.
	patience = 10 * time.Second
)

// Open begins to listen: what ends from here on is told once Run runs. The stream lives as long as ctx.
func Open(ctx context.Context, o Options) (*Notifier, error) {
	if o.Show == nil {
		o.Show = Desktop
	}
	stream, err := o.Tasks.Events(ctx, task.EventQuery{Follow: true, Type: task.EventStatus, Lag: lag})
	if err != nil {
		return nil, err
	}
	return &Notifier{o: o, stream: stream, queue: make(chan Note, queueLen)}, nil
}

// Run tells of endings until ctx is done or the stream has ended, whose reason is nobody's concern here.
func (n *Notifier) Run(ctx context.Context) {
	shown := make(chan struct{})
	showing, stop := context.WithCancel(ctx)
	go func() {
		defer close(shown)
		n.show(showing)
	}()
	defer func() { <-shown }()
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = n.stream.Close() })()
	for {
		ev, err := n.stream.Next()
		if err != nil {
			_ = n.stream.Close()
			return
		}
		if note, ok := n.heard(ctx, ev); ok {
			select {
			case n.queue <- note:
			default:
				n.o.Logger.Debug("a notification is dropped: too many wait", "task", ev.Task.Number)
			}
		}
	}
}

// heard returns what is to be said of an event. The task is only read when it can have taken long enough.
func (n *Notifier) heard(ctx context.Context, ev task.Event) (Note, bool) {
	if ev.Type != task.EventStatus || ev.Task == nil || !ev.Task.Status.Terminal() {
		return Note{}, false
	}
	after, ok := n.o.After()
	if !ok || tooYoung(ev, after) {
		return Note{}, false
	}
	t, err := n.o.Tasks.Get(ctx, task.Ref(ev.TaskID))
	if err != nil {
		return Note{}, false // forgotten in the meantime
	}
	return say(t, after)
}

// tooYoung reports that a task cannot have run for that long, since it was not there: its ID says when it came.
func tooYoung(ev task.Event, after time.Duration) bool {
	id, err := uuid.Parse(string(ev.TaskID))
	if err != nil || id.Version() != 7 {
		return false
	}
	return ev.Time.Sub(time.Unix(id.Time().UnixTime())) < after
}

func (n *Notifier) show(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-n.queue:
			for _, note := range gather(n.waiting(first)) {
				n.showOne(ctx, note)
			}
		}
	}
}

// waiting returns first and all that stands behind it by now.
func (n *Notifier) waiting(first Note) []Note {
	notes := []Note{first}
	for {
		select {
		case note := <-n.queue:
			notes = append(notes, note)
		default:
			return notes
		}
	}
}

func (n *Notifier) showOne(ctx context.Context, note Note) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := n.o.Show(ctx, note); err != nil {
		n.o.Logger.Debug("no notification on the desktop", "reason", err)
	}
}
