// Package client is a [task.Service] at the other end of the daemon's socket. It is what durablectl
// and the MCP server stand on, and the only place where requests are repeated and watches resumed:
// above it a daemon that restarts is a short delay.
//
//   - A dial that finds nobody is repeated with backoff, after starting a daemon where [Options.Start]
//     says how.
//   - A request whose connection broke, or that the daemon could not take now, is sent again if that is
//     safe: reads always, writes because each carries an idempotency key (a UUIDv7 of ours where the
//     caller has none).
//   - A Wait goes on until its timeout, an event stream from its last cursor, a log from its
//     offset: nothing twice, nothing left out.
//
// # Design
//
// The delays come from github.com/cenkalti/backoff, keys from github.com/google/uuid, connections
// from net/http. The loop around the delays is our own (retry.go): backoff.Retry measures its time from
// the first try, and the first try of a wait may succeed for minutes before its connection breaks.
//
// Rejected: to retry in the dialer, where a request that is given up leaves a dial behind and a request
// that broke off later is not seen; to leave retries to callers, each of whom would get the safe
// ones wrong in his own way; to dial in New, which would make every durable-mcp that a host
// spawns and throws away wake the daemon.
package client
