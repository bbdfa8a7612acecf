package task

import "context"

// Caller is who makes a request. The transport that knows it puts it into the request's context; the
// engine authorises by it.
type Caller struct {
	// UID is the user at the other end as the kernel names him; -1 where there is no such thing.
	UID int
	// PID is for messages only: it may be reused at any time.
	PID int
	// Client is what the program calls itself.
	Client string
	// Via is the door through which the request came: one of the Via words, empty for an unknown one. Like Client it
	// is the program's own word: a reminder, no fence.
	Via string
}

// The doors.
const (
	ViaCLI = "cli"
	ViaMCP = "mcp"
)

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller in ctx, and false if there is none: a call within the daemon's process.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
