// Package engine runs tasks: it is the only writer of their status and the task.Service that the daemon
// serves.
//
// # The way of a task
//
// A call (submit.go, verbs.go) reads the record in a write transaction, takes the next state from the
// table in ipc/task, and writes record, indexes and event in that transaction. A submit that finds a free slot, and nobody who
// is to have it first, begins the first attempt in that same transaction; the answer says so. All else is left to the scheduler
// (scheduler.go): it is woken by commits and by the earliest due time, never by a ticker; it claims
// what is ready, as many as there are free slots, in one transaction, and only then starts an attempt
// (attempt.go) for each. An attempt ends when Run has returned; finish.go settles what follows from its
// outcome. At the start of the daemon, recover.go does the same for attempts that nobody has seen end.
//
// What runs a program or overwrites a file is judged by the policy before it is created (approval.go), and may wait a
// day for a person's yes: it is then due like a retry, and ends when its time is up. What has ended is kept as long as
// the configuration says (retention.go); that is looked at at the start and after endings, an hour apart at least.
//
// # Attempts that outlive the daemon
//
// The record says of an attempt whether its kind was a job.Survivor when it began (Record.Survives). Such a one is
// only starting when its Run is called, and running when Run has said so (host.go). A stop, and a crash, leave its
// record as it is: Recover finds it and makes it known as adopted, so that it can be cancelled, read and given
// input, and Run calls the kind's Run for all of them at once before anything new is claimed. They hold slots,
// more than there are if need be. A cancel that was committed by whichever daemon ends the attempt's context before Run is
// called; the timeout counts from the attempt's beginning (deadline.go). Whose kind this daemon does not have, its
// attempt is left alone, with a warning in Info, until a reload brings the kind back.
//
// # Rules
//
//   - A slot is taken in the transaction that begins an attempt (claim.go), and given back if that comes to no commit. Nobody
//     sees a running task whose attempt is not known here.
//   - Nobody is told of a change before its commit. Waiters and streams read the store, woken after it.
//   - Checkpoint, progress and finish compare the attempt's number in the transaction: a stale attempt
//     writes nothing.
//   - A commit that may or may not have happened (the store says Failed) ends the engine: Run returns the
//     error, nobody is notified, and the daemon leaves with a non-zero status. The reopened file is the truth.
//   - A job's context never descends from a request's. Each attempt has one of its own, done with
//     job.ErrStop, job.ErrCancelled or job.ErrTimeout as its cause.
//   - Who starts a goroutine waits for it: Run returns when all of them have.
//   - The work of a Survivor is given up by nobody but its kind: an attempt that Run leaves alone, or panics out of, is
//     watched again.
//
// # Design
//
// Claims are transactions, so the store decides what runs, not a list in memory:
// there is nothing to rebuild after a crash, and 100,000 queued tasks cost no memory. Since the committer calls one closure after
// the other, no two look for a free slot at once, and the order of the transactions is that of the queue. A submit and its claim in one
// commit save a program that is started a commit's two syncs; a task that was only queued costs what it did. Rejected: polling for
// ready tasks (pueue: every 300 ms), a queue in memory beside the store, and an ending and the next claim in
// one transaction, which saves a commit and ties two unrelated things together.
//
// Progress is kept in memory and written once a second for all tasks together; what readers see is the memory.
// Retries wait with exponential backoff and jitter from cenkalti/backoff.
//
// A restart policy waits like the retry policy, by the same backoff, and counts ends in a row; an attempt that ran for
// ten minutes begins the count anew, as a kubelet's does. Rejected: a rate limit after which a task is given up
// (systemd's StartLimitBurst), since a service that fails all night should be back in the morning.
//
// Whether an attempt survives is in the record, not asked of the kind: a kind may have gone, or learnt it, between two
// daemons. An attempt without its kind is not settled as lost, which would let a retry start beside a program that runs.
//
// A retry copies the checkpoint folder of the task before lazily, before its first Run (inherit.go). Rejected: a copy
// while the caller of Retry waits, which may take minutes and needs the same repair after a crash.
//
// Retry waits are held against the wall clock, looked at once a minute at least, so that they survive
// a suspend; while nothing waits, nothing wakes up.
package engine
