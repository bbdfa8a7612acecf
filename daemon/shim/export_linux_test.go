package shim

import "durable/daemon/shim/protocol"

// GroupsIn makes groups in base, as if that was our own.
func GroupsIn(base string) *Groups { return &Groups{base: base} }

// Retry removes what had processes when it was to be removed.
func (g *Groups) Retry() { g.remove(protocol.Group{}, 0) }
