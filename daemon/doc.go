// Package daemon is the facade of everything that lives in durabled: New takes a Config, Run does the
// rest, in this order:
//
//  1. take daemon.lock: one daemon per state folder;
//  2. open the store, which migrates it if need be;
//  3. read config.toml (settings.go), and begin to ask the login shell for its environment;
//  4. recover what the last daemon left running;
//  5. listen on the socket and serve the local API, while the engine runs tasks;
//  6. when asked to leave: let nobody new in, answer who has asked, then start nothing more, let attempts checkpoint and return, answer those who
//     wait, stop serving, close the store.
//
// A store that may no longer be trusted (a commit failed in a way that only reopening it can settle) skips
// to the end and makes Run return an error: the process leaves with a non-zero status, and the next
// one finds out what is true.
//
// # Design
//
// The socket is opened after recovery, not before: a client that meets no socket retries by itself, and
// whatever answers is whole. Rejected: to accept early and let requests wait, as tailscale does, which
// pays off where the start takes long; ours is a matter of milliseconds.
//
// Metrics come from Prometheus' client_golang, collected from task.Stats at each scrape: nothing is counted
// twice.
package daemon
