package store

import "go.etcd.io/bbolt"

// Schema is the version of the store's schema that this program writes.
const Schema = schemaVersion

// schemaVersion is the version of everything below. A change of it needs an entry in [migrations], a
// fixture in testdata and a test.
const schemaVersion = 2

// The bucket tree. IDs are the 16 bytes of the UUID, numbers and times 8 bytes big endian, so that
// keys sort as their values do; nearly all keys grow with time, which keeps the pages that a
// transaction dirties few. Each place where keys are added costs every submit a leaf page and the branches above it, so there
// are no more of them than need be: all indexes share one tree; a task is either in k or, while it is queued, in q; what is of one
// status is found by merging the kinds; a number is found by bisecting tasks, where numbers grow with IDs. A golden test dumps
// a store and holds this drawing to it.
//
//	meta/
//	    schema                       version of this tree
//	    store                        UUID of the store; the marker file names the same
//	    epoch                        of the journal: the first part of every cursor
//	    writer                       version of the program that made this schema
//	    state                        counters: see [state]
//	    backup                       when it was made; only in a backup
//	tasks/
//	    ID                           record
//	params/
//	    ID                           parameters that are too large to be written with every change
//	indexes/
//	    k kind 0 status ID           by kind and status; all that q has not
//	    r root ID                    by root; only tasks that repeat another
//	    e status time ID             by end
//	    q priority ID                what waits for a slot; the priority is inverted, the value is the kind
//	    d time ID                    what waits for its time
//	    c ID                         ended, but not cleaned up yet
//	    a ID                         what waits for a person's yes
//	checkpoints/
//	    ID                           time, attempt, data
//	secrets/
//	    ID                           data; gone with the task's end
//	keys/
//	    name                         ID, hash of the request
//	keys_expiring/
//	    time name                    keys that outlive their task
//	events/
//	    seq                          event
//	quarantine/
//	    ID                           why it was set aside, and the record as it was found
type bucket int

const (
	bMeta bucket = iota
	bTasks
	bParams
	bIndexes
	bCheckpoints
	bSecrets
	bKeys
	bKeysExpiring
	bEvents
	bQuarantine
	bucketCount
)

var bucketNames = [bucketCount][]byte{
	bMeta:         []byte("meta"),
	bTasks:        []byte("tasks"),
	bParams:       []byte("params"),
	bIndexes:      []byte("indexes"),
	bCheckpoints:  []byte("checkpoints"),
	bSecrets:      []byte("secrets"),
	bKeys:         []byte("keys"),
	bKeysExpiring: []byte("keys_expiring"),
	bEvents:       []byte("events"),
	bQuarantine:   []byte("quarantine"),
}

// fillPercent: keys come in order, so a page that is split is hardly ever written to again and may as
// well be full. bbolt's default leaves every page half empty.
const fillPercent = 0.9

// Keys of the meta bucket.
var (
	keySchema = []byte("schema")
	keyStore  = []byte("store")
	keyEpoch  = []byte("epoch")
	keyWriter = []byte("writer")
	keyState  = []byte("state")
	keyBackup = []byte("backup")
)

// state is what changes with nearly every transaction, in one value, so that it costs one put per
// transaction. The committer keeps it in memory.
type state struct {
	// Clean: the store was closed in order, its free list was written, nothing has changed since.
	Clean bool
	// LastID is the greatest ID ever given out, LastNumber the greatest number.
	LastID     [16]byte
	LastNumber uint64
	// FirstSeq is the first event that the journal still has, LastSeq the newest one. The journal
	// is empty when FirstSeq is LastSeq+1.
	FirstSeq, LastSeq uint64
	// Counts by status byte, Ready the number of entries of the ready index.
	Counts [statusCount]int64
	Ready  int64
}

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range bucketNames {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}
