package store

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/google/uuid"

	"durable/ipc/task"
)

// maxScan bounds how many records one page looks at when a filter has no index. Such a page may be short,
// or empty, and still have a next one.
const maxScan = 10_000

// List returns one page of the tasks that q selects, the number of all of them where the query has no
// other filter than the status, and the journal's cursor of the same read.
func (tx *Tx) List(q task.ListQuery) (task.TaskList, error) {
	page := task.TaskList{Tasks: []task.Task{}}
	limit, err := checkList(q)
	if err != nil {
		return page, err
	}
	if page.Cursor, err = tx.Cursor(); err != nil {
		return page, err
	}
	page.Total = tx.total(q)
	last, err := parseListCursor(q)
	if err != nil {
		return page, err
	}
	walk := tx.walk(q, last)
	for scanned := 0; ; scanned++ {
		suffix := walk.next()
		if suffix == nil {
			return page, nil
		}
		if len(page.Tasks) == limit || scanned == maxScan {
			page.NextCursor = listCursor(q, last)
			return page, nil
		}
		last = suffix
		key := uuid.UUID(suffix[len(suffix)-idSize:])
		rec, err := tx.record(key)
		if err != nil {
			continue // set aside, and named in Info
		}
		if selects(q, &rec.Task) {
			page.Tasks = append(page.Tasks, rec.Task)
		}
	}
}

func checkList(q task.ListQuery) (limit int, err error) {
	for _, st := range q.Status {
		if !st.Valid() {
			return 0, task.Errorf(task.InvalidArgument, "status %.40q: there is none", string(st)).
				WithHint("pending, running, completed, failed or cancelled")
		}
	}
	switch q.Order {
	case "", task.OrderCreated, task.OrderEnded:
	default:
		return 0, task.Errorf(task.InvalidArgument, "order %.40q: want %s or %s", string(q.Order), task.OrderCreated, task.OrderEnded)
	}
	switch {
	case q.Limit < 0 || q.Limit > task.MaxLimit:
		return 0, task.Errorf(task.InvalidArgument, "limit %d: want 1 to %d", q.Limit, task.MaxLimit)
	case q.Limit == 0:
		return task.DefaultLimit, nil
	}
	return q.Limit, nil
}

// selects applies the filters that the walk has not.
func selects(q task.ListQuery, t *task.Task) bool {
	if q.Kind != "" && t.Kind != q.Kind {
		return false
	}
	if q.Root != "" && t.RootID != q.Root {
		return false
	}
	if len(q.Status) > 0 && !slices.Contains(q.Status, t.Status) {
		return false
	}
	for name, want := range q.Labels {
		if got, ok := t.Labels[name]; !ok || got != want {
			return false
		}
	}
	return true
}

// total is known without a walk only for queries by status.
func (tx *Tx) total(q task.ListQuery) *int {
	if q.Kind != "" || q.Root != "" || len(q.Labels) > 0 {
		return nil
	}
	var n int64
	for _, st := range statusesOf(q) {
		n += tx.state().Counts[st]
	}
	total := int(n)
	return &total
}

// statusesOf returns the statuses that q asks for, each once.
func statusesOf(q task.ListQuery) []byte {
	want := q.Status
	if len(want) == 0 {
		want = task.Statuses
	}
	var out []byte
	for _, st := range want {
		if q.Order == task.OrderEnded && !st.Terminal() {
			continue
		}
		if n := statusBytes[st]; !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// walk returns the keys' suffixes that q's indexes lead to, greatest first, from below last on.
func (tx *Tx) walk(q task.ListQuery, last []byte) *merge {
	m := new(merge)
	add := func(g group, value []byte) {
		s := &stream{scan: tx.scan(g.region), prefix: g.prefix, value: value}
		s.seek(last)
		m.streams = append(m.streams, s)
	}
	root, rootOK := key16(q.Root)
	switch {
	case q.Order == task.OrderEnded:
		for _, st := range statusesOf(q) {
			add(group{rByEnd, []byte{st}}, nil)
		}
	case q.Root != "":
		if rootOK {
			add(group{rByRoot, root[:]}, nil)
			m.streams = append(m.streams, single(tx, root, last))
		}
	case q.Kind != "":
		for _, st := range statusesOf(q) {
			add(group{rByKind, append([]byte(q.Kind), 0, st)}, nil)
			if st != statusPending {
				continue
			}
			for _, g := range tx.groups(rReady) {
				add(g, []byte(q.Kind))
			}
		}
	case len(q.Status) > 0:
		for _, st := range statusesOf(q) {
			for _, g := range tx.ofStatus(st) {
				add(g, nil)
			}
		}
	default:
		add(group{region: rTasks}, nil)
	}
	return m
}

// stream walks the keys of one prefix backwards.
type stream struct {
	scan   *scan
	prefix []byte
	value  []byte // keys with another one are passed over; nil: none is
	at     []byte // what follows the prefix in the key; nil: at its end
}

// single is the stream of one task alone: the first of a line of retries is not in its own index.
func single(tx *Tx, key uuid.UUID, last []byte) *stream {
	s := new(stream)
	if tx.get(rTasks, key[:]) != nil && (last == nil || bytes.Compare(key[:], last) < 0) {
		s.at = key[:]
	}
	return s
}

// seek goes to the greatest key below last; with no last, to the greatest one.
func (s *stream) seek(last []byte) {
	after := append(bytes.Clone(s.prefix), last...)
	if last == nil {
		after = append(after, beyond...)
	}
	k, _ := s.scan.Seek(after)
	if k != nil {
		s.step()
		return
	}
	s.take(s.scan.Last())
}

func (s *stream) step() {
	if s.scan == nil {
		s.at = nil
		return
	}
	s.take(s.scan.Prev())
}

func (s *stream) take(k, value []byte) {
	s.at = nil
	for k != nil && bytes.HasPrefix(k, s.prefix) {
		if s.value == nil || bytes.Equal(value, s.value) {
			s.at = k[len(s.prefix):]
			return
		}
		k, value = s.scan.Prev()
	}
}

// merge walks several streams as one.
type merge struct{ streams []*stream }

// next returns the greatest suffix left; nil when there is none.
func (m *merge) next() []byte {
	var best *stream
	for _, s := range m.streams {
		if s.at != nil && (best == nil || bytes.Compare(s.at, best.at) > 0) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	at := best.at
	best.step()
	return at
}

// A list cursor is the version, a hash of the query that it belongs to, and the last suffix.
const (
	listCursorVersion = 1
	listCursorHead    = 1 + 4
)

func listCursor(q task.ListQuery, last []byte) string {
	b := append([]byte{listCursorVersion}, queryHash(q)...)
	return base64.RawURLEncoding.EncodeToString(append(b, last...))
}

// parseListCursor returns the suffix to go on below; nil for the first page.
func parseListCursor(q task.ListQuery) ([]byte, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	want := idSize
	if q.Order == task.OrderEnded {
		want += 8
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(b) != listCursorHead+want || b[0] != listCursorVersion {
		return nil, task.Errorf(task.InvalidArgument, "cursor %.80q: this is none of a list", q.Cursor).
			WithHint("leave the cursor out to begin at the first page")
	}
	if !bytes.Equal(b[1:listCursorHead], queryHash(q)) {
		return nil, task.Errorf(task.InvalidArgument, "cursor: it belongs to another query").
			WithHint("repeat the query that it came from, or leave the cursor out")
	}
	return b[listCursorHead:], nil
}

// queryHash covers what decides the order and selection, not the limit.
func queryHash(q task.ListQuery) []byte {
	order := q.Order
	if order == "" {
		order = task.OrderCreated
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q %q %q %v", order, statusesOf(q), q.Kind, q.Root, q.Labels) // fmt sorts maps
	return h.Sum(nil)
}
