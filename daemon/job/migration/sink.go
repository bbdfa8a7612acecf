package migration

import (
	"context"
	"path/filepath"

	"durable/daemon/job"
)

// sink is where records go. One goroutine uses it. An attempt calls claim, then create if there was
// nothing to go on from, then write and commit in turn, verify, publish; and close in any case.
type sink interface {
	// claim makes the destination this attempt's own and returns the state to go on from: saved, the
	// task's checkpoint, or what the destination itself knows better; nil: begin anew.
	claim(ctx context.Context, saved *state) (*state, error)
	// create begins anew: makes st and an empty destination durable together.
	create(ctx context.Context, st *state) error
	// convert returns v, a value of column i, as the destination will give it back.
	convert(v value, i int) (value, error)
	// normal returns how v reads back where that differs from what is written.
	normal(v value) value
	// write adds records and returns, for each that the destination refused, its place and why.
	write(ctx context.Context, b *batch) ([]refusal, error)
	// commit makes what was written durable, and st with it. It wraps job.ErrFenced if another attempt
	// has claimed the destination since.
	commit(ctx context.Context, st *state) error
	// verify reads the destination back, by handles of its own, and returns what is there of ours.
	verify(ctx context.Context, st *state, tick func(records int64)) (digest, error)
	// publish gives the destination its name. It must bear repetition.
	publish(ctx context.Context, st *state) error
	// size returns the bytes of the destination.
	size() int64
	close() error
}

// refusal is a record of a batch that the destination does not take.
type refusal struct {
	row    int
	err    *rowError
	values []value // nil: the batch has them
}

func (m *migration) newSink() sink {
	if m.p.DestinationFormat == formatPostgres {
		return &pgSink{p: &m.p, owner: owner{m.root(), m.j.ID(), m.j.Attempt()}, hook: m.hook}
	}
	if m.p.DestinationFormat == formatSQLite {
		return &tableSink{p: &m.p, owner: owner{m.root(), m.j.ID(), m.j.Attempt()}, hook: m.hook}
	}
	path := m.p.Destination
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link keeps pointing to the file, which gets the new content
	}
	s := fileSink{p: &m.p, path: path, part: partPath(path, m.j), hook: m.hook}
	if m.p.DestinationFormat == formatParquet {
		return &parquetSink{fileSink: s, merged: s.part + ".merged"}
	}
	return &s
}

// partPath is beside the destination, so that the rename stays on one file system, and names the line
// of tasks, so that no other migration takes it for its own.
func partPath(destination string, j *job.Context) string {
	return destination + "." + string(j.RootID()) + ".part"
}
