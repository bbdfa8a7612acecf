// Package engine runs tasks: it is the only writer of their status and the task.Service that the daemon
// serves.
//
// # The way of a task
//
// A call (submit.go, verbs.go) reads the record in a write transaction, takes the next state from the
// table in ipc/task, and writes record, indexes and event in that transaction. The scheduler
// (scheduler.go) is woken by commits and by the earliest due time, never by a ticker; it claims
// what is ready, as many as there are free slots, in one transaction, and only then starts an attempt
// (attempt.go) for each. An attempt ends when Run has returned; finish.go settles what follows from its
// outcome. At the start of the daemon, recover.go does the same for attempts that nobody has seen end.
//
// What runs a program or overwrites a file is judged by the policy before it is created (approval.go), and may wait a
// day for a person's yes: it is then due like a retry, and ends when its time is up. What has ended is kept as long as
// the configuration says (retention.go); that is looked at at the start and after endings, an hour apart at least.
//
// # Rules
//
//   - Nobody is told of a change before its commit. Waiters and streams read the store, woken after it.
//   - Checkpoint, progress and finish compare the attempt's number in the transaction: a stale attempt
//     writes nothing.
//   - A commit that may or may not have happened (the store says Failed) ends the engine: Run returns the
//     error, nobody is notified, and the daemon leaves with a non-zero status. The reopened file is the truth.
//   - A job's context never descends from a request's. Each attempt has one of its own, done with
//     job.ErrStop, job.ErrCancelled or job.ErrTimeout as its cause.
//   - Who starts a goroutine waits for it: Run returns when all of them have.
//
// # Design
//
// One goroutine claims; claims are transactions, so the store decides what runs, not a list in memory:
// there is nothing to rebuild after a crash, and 100,000 queued tasks cost no memory. Rejected: polling for
// ready tasks (pueue: every 300 ms), a queue in memory beside the store, and an ending and the next claim in
// one transaction, which saves a commit and ties two unrelated things together.
//
// Progress is kept in memory and written once a second for all tasks together; what readers see is the memory.
// Retries wait with exponential backoff and jitter from cenkalti/backoff.
//
// Retry waits are held against the wall clock, looked at once a minute at least, so that they survive
// a suspend; while nothing waits, nothing wakes up.
package engine
