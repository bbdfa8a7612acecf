package migration

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// pgAhead verifies while the copy still runs, over a connection of its own: after each commit it reads the pages that the
// commit has filled. At the end, what it has read needs no second reading, but a proof that it is still there: a version of
// a row never changes, so that as many visible versions of that age in those pages are the same ones. The server counts
// them without sending them.
//
// It is an advance on the work of verify, never a judgement. Whatever goes wrong here leaves the reading to verify.
type pgAhead struct {
	s       *pgSink
	commits chan pgCommit // the newest one only
	ended   chan struct{}
	stop    context.CancelFunc

	// Of the goroutine until ended is closed.
	passes []pgPass
	next   int64 // the first page that is not read
}

// pgCommit is where the table stood after a commit.
type pgCommit struct {
	pages int64
	// xid is the first transaction after it: each row of ours so far is of an older one, each later row of this one or a newer.
	xid string
}

// pgPass is a range of pages that was read, the last one not included.
type pgPass struct {
	pgCommit // of which the rows were read; its pages are where the range ends
	from     int64
	found    digest
}

const (
	// aheadSlack is how many pages at the end are not read ahead: there the server still puts rows.
	aheadSlack = 256
	// aheadLeast is how many pages are worth a reading. A 32nd of what is read already is the least too, so that there
	// are at most a few hundred passes, which are each counted again at the end.
	aheadLeast, aheadPart = 512, 32
	// aheadMost bounds a pass: the end waits for the one that is under way.
	aheadMost = 4096
	// aheadCommit is how often a copy commits for its verification to keep up.
	aheadCommit = 200 * time.Millisecond
)

// ahead tells the reader of a commit, and starts it once the table is large. What fails here fails nothing.
func (s *pgSink) ahead(ctx context.Context) {
	if s.upsert != nil || s.aheadOff {
		return
	}
	row, err := s.conn.one(ctx, `select pg_relation_size(c.oid) / current_setting('block_size')::bigint, pg_snapshot_xmax(pg_current_snapshot())::xid
		from pg_class c where c.oid = $1::oid and `+dividable, s.table.oid)
	if err != nil || row == nil {
		s.aheadOff = true
		return
	}
	pages, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil || pages < dividedPages && s.reader == nil {
		return
	}
	if s.reader == nil {
		s.reader = newPGAhead(ctx, s)
	}
	select {
	case <-s.reader.commits: // the older one: it says nothing that this one does not
	default:
	}
	s.reader.commits <- pgCommit{pages, row[1]} // there is room: nobody else sends
}

func newPGAhead(ctx context.Context, s *pgSink) *pgAhead {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &pgAhead{s: s, commits: make(chan pgCommit, 1), ended: make(chan struct{}), stop: stop}
	go func() {
		defer close(a.ended)
		a.run(ctx)
	}()
	return a
}

// finish lets the pass that is under way end and returns what was read. It begins no other: verify reads with two connections.
func (a *pgAhead) finish() (passes []pgPass, next int64) {
	if a == nil {
		return nil, 0
	}
	select {
	case <-a.commits:
	default:
	}
	close(a.commits)
	<-a.ended
	return a.passes, a.next
}

// readAhead returns how many records verify had not to read.
func (s *pgSink) readAhead() (n int64) {
	if s.reader != nil {
		for _, p := range s.reader.passes {
			n += p.found.Records
		}
	}
	return n
}

func (a *pgAhead) close() {
	if a != nil {
		a.stop()
		<-a.ended
	}
}

func (a *pgAhead) run(ctx context.Context) {
	conn, err := a.s.p.connectDestination(ctx)
	if err != nil {
		return
	}
	defer conn.close()
	for {
		select {
		case <-ctx.Done():
			return
		case c, more := <-a.commits:
			if !more || !a.pass(ctx, conn, c) {
				return
			}
		}
	}
}

// pass reads what a commit has added, if it is enough. It returns false if it cannot.
func (a *pgAhead) pass(ctx context.Context, conn *pgConn, c pgCommit) bool {
	end := min(c.pages-aheadSlack, a.next+aheadMost)
	if end-a.next < max(aheadLeast, min(a.next/aheadPart, aheadMost)) {
		return true
	}
	p := pgPass{pgCommit{end, c.xid}, a.next, digest{}}
	var err error
	if p.found, err = a.s.read(ctx, conn, p.where()+" and "+p.older(), func(int64) {}); err != nil {
		return false
	}
	a.passes, a.next = append(a.passes, p), end
	return true
}

func (p pgPass) where() string {
	return fmt.Sprintf(" where ctid >= '(%d,0)' and ctid < '(%d,0)'", p.from, p.pages)
}

// older is the condition of the rows that were read, newer that of all others.
func (p pgPass) older() string { return "age(xmin) > age('" + p.xid + "'::xid)" }
func (p pgPass) newer() string { return "age(xmin) <= age('" + p.xid + "'::xid)" }

// confirm returns what is now in the pages of a pass. For what was read before, it is enough that it is still there.
func (s *pgSink) confirm(ctx context.Context, conn *pgConn, p pgPass) (digest, error) {
	row, err := conn.one(ctx, "select count(*) filter (where "+p.older()+"), count(*) from "+s.table.sql()+p.where())
	if err != nil {
		return digest{}, err
	}
	where, before := p.where(), digest{}
	switch older := strconv.FormatInt(p.found.Records, 10); {
	case row[0] != older: // some are gone or were changed: all count as they are now
	case row[1] == older:
		return p.found, nil
	default: // room that was left in a page, or a change, has brought others
		where, before = where+" and "+p.newer(), p.found
	}
	d, err := s.read(ctx, conn, where, func(int64) {})
	return d.plus(before), err
}
