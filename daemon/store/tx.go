package store

import (
	"bytes"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"durable/ipc/task"
)

// paramsInline is the size up to which parameters are part of the record. Larger ones are kept apart, so
// that not every change of the task writes them again.
const paramsInline = 1 << 10

// Tx is one transaction: a consistent view, and in [Store.Update] also changes that happen all or not at
// all. It is for one goroutine and must not outlive the function that it was given to.
type Tx struct {
	s      *Store
	b      *bbolt.Tx
	now    time.Time
	st     *state        // nil until needed in a view
	tree   *bbolt.Bucket // nil until needed
	keyBuf []byte
	seeker *bbolt.Cursor // of get; nil until needed

	*scratch // nil in a view

	id     int64 // bbolt's number of the transaction
	broken error // the file is: the transaction cannot go on
	writes int   // calls that changed something
	bytes  int   // what those calls added, roughly
	// assigned holds the IDs that PutKey has given to records that Create has not seen yet.
	assigned map[*Record]uuid.UUID
}

func (tx *Tx) bucket() *bbolt.Bucket {
	if tx.tree == nil {
		tx.tree = tx.b.Bucket(bucketTree)
		tx.tree.FillPercent = fillPercent
	}
	return tx.tree
}

// key puts the region before a key, in a buffer that the next call uses again: bbolt copies what it keeps.
func (tx *Tx) key(r region, key []byte) []byte {
	tx.keyBuf = append(append(tx.keyBuf[:0], byte(r)), key...)
	return tx.keyBuf
}

// get is the bucket's Get with one cursor for all calls: bbolt makes one for each.
func (tx *Tx) get(r region, key []byte) []byte {
	if tx.seeker == nil {
		tx.seeker = tx.bucket().Cursor()
	}
	k, v := tx.seeker.Seek(tx.key(r, key))
	if !bytes.Equal(k, tx.keyBuf) {
		return nil
	}
	return v
}

// put stores value, which must not be changed until the transaction is over.
func (tx *Tx) put(r region, key, value []byte) error {
	tx.writes++
	tx.bytes += len(key) + len(value)
	if err := tx.bucket().Put(tx.key(r, key), value); err != nil {
		return fmt.Errorf("put in %s: %w", r, err)
	}
	return nil
}

func (tx *Tx) delete(r region, key []byte) error {
	tx.writes++
	if err := tx.bucket().Delete(tx.key(r, key)); err != nil {
		return fmt.Errorf("delete in %s: %w", r, err)
	}
	return nil
}

// deleteIfThere spares the transaction a write for a key that hardly ever exists.
func (tx *Tx) deleteIfThere(r region, key []byte) error {
	if tx.get(r, key) == nil {
		return nil
	}
	return tx.delete(r, key)
}

// state returns the counters: in an update the working copy, which becomes the store's at the commit.
func (tx *Tx) state() *state {
	if tx.st == nil {
		tx.st = new(state)
		if err := readState(tx.b, tx.st); err != nil {
			panic(damage{err})
		}
	}
	return tx.st
}

func readState(b *bbolt.Tx, st *state) error {
	meta := b.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: no bucket meta", errDamaged)
	}
	body, err := unseal(keyState, meta.Get(keyState))
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return stateFields.parse(body, st)
}

func putState(b *bbolt.Tx, st *state) error {
	return b.Bucket(bucketMeta).Put(keyState, seal(keyState, stateFields.append(make([]byte, sealSize, 96), st)))
}

// Task returns a task's record: [task.NotFound] if there is none, [task.Internal] if it cannot be read.
func (tx *Tx) Task(id task.ID) (*Record, error) {
	key, ok := key16(id)
	if !ok {
		return nil, errNoTask(id)
	}
	return tx.record(key)
}

func (tx *Tx) record(key uuid.UUID) (*Record, error) {
	var r stored
	if err := tx.load(key, &r); err != nil {
		return nil, err
	}
	return &r.Record, nil
}

// load reads the whole record, its checkpoint's description included.
func (tx *Tx) load(key uuid.UUID, r *stored) error {
	if err := tx.parse(key, recordFields, r); err != nil {
		return err
	}
	if r.ParamsApart {
		body, err := unseal(key[:], tx.get(rParams, key[:]))
		if err != nil {
			return tx.damaged(key, fmt.Errorf("parameters: %w", err))
		}
		r.Task.Params = append(rawJSON(nil), body...)
	}
	if r.Task.Labels == nil {
		r.Task.Labels = map[string]string{}
	}
	r.Task.Checkpoint = tx.describeCheckpoint(key)
	return nil
}

// parse reads those fields of a record that m has.
func (tx *Tx) parse(key uuid.UUID, m message[stored], r *stored) error {
	value := tx.get(rTasks, key[:])
	if value == nil {
		if reason := tx.setAside(key); reason != "" {
			return errSetAside(formatID(key[:]), reason)
		}
		return errNoTask(formatID(key[:]))
	}
	body, err := unseal(key[:], value)
	if err == nil {
		err = m.parse(body, r)
	}
	if err == nil && statusBytes[r.Task.Status] == 0 {
		err = fmt.Errorf("%w: status %q", errDamaged, r.Task.Status)
	}
	if err != nil {
		return tx.damaged(key, err)
	}
	return nil
}

func errNoTask(id task.ID) error {
	return task.Errorf(task.NotFound, "no task %s", id).WithHint("durablectl list shows the tasks there are")
}

// Create stores a new task: it assigns ID, Number and, where there is none, RootID, and writes the event.
// The times of creation and change are set unless they are set already.
func (tx *Tx) Create(rec *Record) error {
	key, err := tx.introduce(rec)
	if err != nil {
		return err
	}
	return tx.store(key, nil, rec)
}

// CreateAs is Create of a task that does not stay as it is made: next turns rec into what is stored, and an event of type ev
// follows the first one. It is a Create and a Put for the price of one: the first state is in the journal, and nowhere else. rec is
// read again, as [Tx.Task] would.
func (tx *Tx) CreateAs(rec *Record, ev task.EventType, next func(*Record) error) error {
	key, err := tx.introduce(rec)
	if err != nil {
		return err
	}
	if err := next(rec); err != nil {
		return err
	}
	if err := check(rec); err != nil {
		return err
	}
	if err := tx.store(key, nil, rec); err != nil {
		return err
	}
	if err := tx.journalTask(ev, rec); err != nil {
		return err
	}
	stored, err := tx.record(key)
	if err != nil {
		return err
	}
	*rec = *stored
	return nil
}

// introduce gives a new task its ID, number and times, and writes the event that it is there.
func (tx *Tx) introduce(rec *Record) (uuid.UUID, error) {
	if err := check(rec); err != nil {
		return uuid.UUID{}, err
	}
	key := tx.assign(rec)
	if rec.Task.CreatedAt.IsZero() {
		rec.Task.CreatedAt = tx.now
	}
	if rec.Task.UpdatedAt.IsZero() {
		rec.Task.UpdatedAt = rec.Task.CreatedAt
	}
	delete(tx.assigned, rec)
	return key, tx.journalTask(task.EventSubmitted, rec)
}

// assign gives rec its ID and number, once per transaction, and both at once: numbers grow with IDs. What an earlier run of the
// same closure has left in rec does not count: that run was rolled back.
func (tx *Tx) assign(rec *Record) uuid.UUID {
	if key, ok := tx.assigned[rec]; ok {
		return key
	}
	st := tx.state()
	key := nextID(st.LastID, tx.now)
	st.LastID = key
	st.LastNumber++
	rec.Task.Number = st.LastNumber
	stale := rec.Task.ID
	rec.Task.ID = formatID(key[:])
	if rec.Task.RootID == "" || rec.Task.RootID == stale {
		rec.Task.RootID = rec.Task.ID
	}
	return key
}

// Put replaces a task's record and writes an event of that type; without one if ev is empty. Secrets go
// when the task is terminal. A terminal task keeps its status: anything else is an [task.Internal] error.
func (tx *Tx) Put(rec *Record, ev task.EventType) error {
	if err := check(rec); err != nil {
		return err
	}
	key, ok := key16(rec.Task.ID)
	if !ok {
		return errNoTask(rec.Task.ID)
	}
	var old stored
	if err := tx.parse(key, indexedFields, &old); err != nil {
		return err
	}
	if old.Task.Status.Terminal() && old.Task.Status != rec.Task.Status {
		return task.Errorf(task.Internal, "task %d is %s, which is final: it cannot become %s",
			old.Task.Number, old.Task.Status, rec.Task.Status)
	}
	if err := tx.store(key, &old, rec); err != nil {
		return err
	}
	if rec.Task.Status.Terminal() {
		if err := tx.deleteIfThere(rSecrets, key[:]); err != nil {
			return err
		}
	}
	if ev == "" {
		return nil
	}
	return tx.journalTask(ev, rec)
}

// check refuses what the keys cannot carry.
func check(rec *Record) error {
	switch {
	case statusBytes[rec.Task.Status] == 0:
		return task.Errorf(task.Internal, "store: status %q", rec.Task.Status)
	case len(rec.Task.Kind) > maxKind || containsZero(rec.Task.Kind):
		return task.Errorf(task.InvalidArgument, "kind %.40q: longer than %d bytes, or with a zero byte in it", rec.Task.Kind, maxKind)
	}
	return nil
}

// maxKind bounds the name of a kind, in bytes, which is part of a key.
const maxKind = 64

func containsZero(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

// store writes rec with its parameters and indexes; old is what it replaces, nil for a new one.
func (tx *Tx) store(key uuid.UUID, old *stored, rec *Record) error {
	cur := &tx.cur
	*cur = stored{Record: *rec, ParamsApart: len(rec.Task.Params) > paramsInline}
	if err := tx.putParams(key, old != nil && old.ParamsApart, cur); err != nil {
		return err
	}
	if cur.ParamsApart {
		cur.Task.Params = nil
	}
	if err := tx.put(rTasks, key[:], encode(tx, key[:], recordFields, cur)); err != nil {
		return err
	}
	return tx.reindex(key, old, cur)
}

func (tx *Tx) putParams(key uuid.UUID, wasApart bool, cur *stored) error {
	switch {
	case !cur.ParamsApart && wasApart:
		return tx.delete(rParams, key[:])
	case !cur.ParamsApart:
		return nil
	}
	if wasApart {
		if body, err := unseal(key[:], tx.get(rParams, key[:])); err == nil && string(body) == string(cur.Task.Params) {
			return nil
		}
	}
	return tx.put(rParams, key[:], seal(key[:], append(make([]byte, sealSize, sealSize+len(cur.Task.Params)), cur.Task.Params...)))
}

// Delete removes a task with all that belongs to it, and writes the event. Its idempotency keys stay until
// KeyRetention after its end.
func (tx *Tx) Delete(id task.ID) error {
	key, ok := key16(id)
	if !ok {
		return errNoTask(id)
	}
	var old stored
	if err := tx.load(key, &old); err != nil {
		return err
	}
	if err := tx.expireKeys(&old.Record); err != nil {
		return err
	}
	for _, r := range []region{rTasks, rParams, rCheckpoints, rSecrets} {
		if err := tx.deleteIfThere(r, key[:]); err != nil {
			return err
		}
	}
	if err := tx.reindex(key, &old, nil); err != nil {
		return err
	}
	return tx.journalTask(task.EventRemoved, &old.Record)
}

// Counts returns the number of tasks by status; every status is in it.
func (tx *Tx) Counts() (map[task.Status]int, error) {
	counts := make(map[task.Status]int, len(statusBytes))
	for status, n := range statusBytes {
		counts[status] = int(tx.state().Counts[n])
	}
	return counts, nil
}

// ReadyCount returns how many tasks wait for a slot.
func (tx *Tx) ReadyCount() (int, error) { return int(tx.state().Ready), nil }
