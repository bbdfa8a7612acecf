package task

// Statuses with which a daemon that is a service leaves, so that its service manager can tell a stop from an accident: both are
// restarted unless it knows. Without a service manager such a daemon leaves with 0.
const (
	// ExitStopped: a person has stopped it. It stays down.
	ExitStopped = 100
	// ExitRestart: it was asked to come back.
	ExitRestart = 75
)
