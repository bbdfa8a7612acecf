package command

import (
	"context"
	"time"

	"durable/daemon/shim"
)

// Process and Holder are the seams to package shim.
type (
	Process = process
	Holder  = holder
	Marker  = marker
)

// SetHolder makes h start the programs of k.
func (k *Kind) SetHolder(h Holder) { k.holder = h }

// SetHolder makes h start the programs of t.
func (t *Template) SetHolder(h Holder) { t.holder = h }

// Title returns what a command is called.
func Title(shell bool, args ...string) string {
	p := params{Command: args, Shell: shell}
	return p.title()
}

// MaskArgs returns args for people to see.
func MaskArgs(args ...string) []string { return maskArgs(args, false) }

// Environment returns that of a program.
func (k *Kind) EnvironmentOf(environ []string, env map[string]string) []string {
	return k.environment(context.Background(), order{Environ: environ, Caller: environ != nil, Env: env})
}

// Enter is that of Limits.
func (l *Limits) Enter(ctx context.Context, kind string, limit int, runs bool, waits func(int)) (func(), error) {
	return l.enter(ctx, kind, limit, runs, waits)
}

var _ Process = (*shim.Process)(nil)

// FollowEvery is how far reports are apart.
const FollowEvery time.Duration = followEvery
