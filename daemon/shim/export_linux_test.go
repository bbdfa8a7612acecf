package shim

import (
	"time"

	"durable/daemon/shim/protocol"
)

// Patient makes a holder that was sent to a folder wait there for so long.
func (s *Spare) Patient(d time.Duration) { s.sentFor = d }

// GroupsIn makes groups in base, as if that was our own.
func GroupsIn(base string) *Groups { return &Groups{base: base} }

// Retry removes what had processes when it was to be removed.
func (g *Groups) Retry() { g.remove(protocol.Group{}, 0) }
