package store

import "go.etcd.io/bbolt"

// Schema is the version of the store's schema that this program writes.
const Schema = schemaVersion

// schemaVersion is the version of everything below. A change of it needs an entry in [migrations], a
// fixture in testdata and a test.
const schemaVersion = 3

// The file has two buckets. IDs are the 16 bytes of the UUID, numbers and times 8 bytes big endian, so that keys sort as their
// values do. All that grows is in one tree, whose keys begin with the byte of their region. Nearly all keys grow with time, so a
// submit writes the last leaf of each region that it adds to and the branches above, and most of these it shares with the region
// next to it: hence one tree; hence what waits for a slot is beside the tasks; hence an idempotency key that has a time in it is
// between the tasks of that time. A task is either in byKind or, while it is queued, in ready; what is of one status is found by
// merging the kinds; a number is found by bisecting the tasks, where numbers grow with IDs. A golden test dumps a store and holds
// this drawing to it.
//
//	meta/
//	    schema                       version of this tree
//	    store                        UUID of the store; the marker file names the same
//	    epoch                        of the journal: the first part of every cursor
//	    writer                       version of the program that made this schema
//	    state                        counters: see [state]
//	    backup                       when it was made; only in a backup
//	tree/
//	    1 seq                        events
//	    2 ID                         params: parameters that are too large to be written with every change
//	    3 ID                         checkpoints: time, attempt, data
//	    4 ID                         secrets: gone with the task's end
//	    5 name                       keys: ID, hash of the request
//	    6 time name                  expiring: keys that outlive their task
//	    7 kind 0 status ID           byKind: all that ready has not
//	    8 root ID                    byRoot: only tasks that repeat another
//	    9 status time ID             byEnd
//	    10 time ID                   due: what waits for its time
//	    11 ID                        unclean: ended, but not cleaned up yet
//	    12 ID                        asking: what waits for a person's yes
//	    13 ID                        tasks: the record
//	    13 UUID name                 a key whose name ends with a UUID that has a time: the rest of its name
//	    14 priority ID               ready: what waits for a slot; the priority is inverted, the value is the kind
//	    15 ID                        quarantine: why it was set aside, and the record as it was found
var (
	bucketMeta = []byte("meta")
	bucketTree = []byte("tree")
)

// region is the first byte of a key in the tree. The values are the file format.
type region byte

const (
	rEvents region = iota + 1
	rParams
	rCheckpoints
	rSecrets
	rKeys
	rExpiring
	rByKind
	rByRoot
	rByEnd
	rDue
	rUnclean
	rAsking
	rTasks
	rReady
	rQuarantine
	regionEnd
)

var regionNames = [regionEnd]string{
	rEvents: "events", rParams: "params", rCheckpoints: "checkpoints", rSecrets: "secrets", rKeys: "keys", rExpiring: "expiring",
	rByKind: "byKind", rByRoot: "byRoot", rByEnd: "byEnd", rDue: "due", rUnclean: "unclean", rAsking: "asking",
	rTasks: "tasks", rReady: "ready", rQuarantine: "quarantine",
}

func (r region) String() string { return regionNames[r] }

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
	_, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err == nil {
		_, err = tx.CreateBucketIfNotExists(bucketTree)
	}
	return err
}
