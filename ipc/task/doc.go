// Package task is the vocabulary that durable's processes share: what a task is, which states it
// has, how it may move between them, what is reported about it, how requests fail, and the one
// interface, [Service], behind which a caller finds tasks, whether in its own process, over the
// local socket, or on another engine.
//
// The package holds data and pure functions only. It does no I/O, starts no goroutine, keeps no
// global state and imports nothing outside the standard library, so that every program of the house
// can afford it.
//
// # Design
//
// The JSON tags in this package are the public API (/v1). Fields may be added, never changed or
// removed. The store has record types of its own, so that the API's shape and the file's shape can
// change independently; saving these types raw, as nomad once did, freezes both for ever.
//
// States are data ([Transitions], [Outcomes]), applied by pure functions ([Next], [Settle]) and
// tested for every pair. Rejected: a state object with a method per transition (containerd's
// init_state.go), where the table is spread over fifty functions and cannot be printed or checked.
//
// A task has a status (five, the tutorial's), a phase (what it does within that status) and, once an
// attempt has ended, an outcome (how that attempt truly ended). Rejected: one flat list of states, as
// River has it, because old clients would meet words that they do not know; they can rely on the
// five statuses for ever.
//
// Errors are a closed set of codes with three total tables (HTTP, MCP, exit status). Rejected:
// sentinel error values, which do not survive the wire.
package task
