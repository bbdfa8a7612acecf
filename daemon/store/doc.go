// Package store keeps the tasks, their events and all that must survive, in one bbolt file in the state
// folder. It knows how to keep things, not what they mean: which change of a task is allowed is for the
// engine to decide, inside the transaction that makes the change.
//
// What is promised: [Store.Update] returns after the fsync of what it has changed, or says that nothing has
// changed, or that this cannot be known. [Store.View] shows nothing that is not on disk. A file that cannot
// be read is never written to; a record that cannot be read is set aside, named in [Info], and stops nothing
// else. The folder must be held by its daemon (a lock of its own, above this package) before [Open].
//
// Files in the folder: store.db, store.marker (names the store, so that one that has vanished is not taken
// for one that never was), store.reserve (blocks for the day when the disk is full), store.db.schemaN.bak
// (the file as it was before a migration), store.db.schemaN.tmp (what a migration is making; the next one begins again).
//
// # Design
//
// bbolt, because the store is read-mostly, has one writer, must be crash-safe without a server, and must be
// built without cgo. Records are framed with protobuf's protowire, from tables that list each field once
// for both directions. Rejected: encoding/json (3.5 times slower to write, 8 times to read, and
// it checks the parameters again with every change of a task); generated protobuf code (a code generator for two messages);
// storing the API's types raw (freezes both).
//
// One committer goroutine drains what waits into a transaction. Rejected: DB.Batch, whose timer makes a lone
// caller wait 10 ms; DB.Update from each caller, which pays two syncs each.
//
// The free list is not written with each commit (which costs 10 times a small commit in a large file), but
// when the store is closed in order: then the next start reads it, in milliseconds. After a crash the
// whole tree is read first, page by page, where a damaged page is an error; only then may bbolt look for
// its free pages, which it does in a goroutine whose panic nobody can catch. The tree is read in parts beside each other, and a
// file that is not in memory, as after a power cut, is read from front to end before. Rejected: a check in a child
// process, which needs a program to run and finds no more; MAP_POPULATE, which costs a warm file more than its faults.
//
// bbolt shows a commit to readers as soon as its meta page is written, before it is synced. A view that has
// seen such a commit waits for its sync. Without that a client could be told of a success that a power
// cut takes back.
//
// A full disk is no failure: bbolt's pages are written before the meta page, so an ENOSPC leaves the old
// state, which is verified by looking at the transaction that readers see. Any other error of a commit is
// final for this process: what is on disk is only known after reopening.
//
// Counters and the ends of the journal are one value, put once per transaction. A submit touches the same few pages as the one
// before it; each costs it some 12 µs of CPU and 7 of the sync, since bbolt's free pages lie scattered. Nine are left: of three
// regions of the one tree (events, tasks, ready) the last leaf and its branch, the root, bbolt's list of buckets, its meta page.
// Rejected: a bucket for each region, as schema 2 had (13 pages: each has a root); indexes by number and by status, of schema 1 (20; what they
// said can be derived); keys in a region of their own, where each submit would add to one more leaf; events between the tasks too, whose cursors
// would have to be looked up; bbolt's array free list, which scatters pages no less; writing zeros where the file is about to grow.
//
// A migration makes a new file, in chunks, and the old one keeps its place until that is done, and another name after it: it needs no
// more memory for a million tasks than for a thousand, and whoever dies in the middle of it has lost nothing. Rejected: one transaction in
// the file itself, whose pages are all in memory until its end (0.6 GB; the step from schema 1 is still one).
package store
