package migration

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// batch is a number of records on their way, as the destination wants them.
type batch struct {
	width  int
	values []value
	lines  []int64
	hashes []uint64
	// text has the records instead of values where they went the short way, see direct; ends is where each ends.
	text []byte
	ends []int
	// bad are the records left out on the way here, read counts all that the survey had counted.
	bad  []*rowError
	read int64
	// at is where the record after the batch is read.
	at position
}

func (b *batch) rows() int         { return len(b.hashes) }
func (b *batch) row(i int) []value { return b.values[i*b.width : (i+1)*b.width] }
func (b *batch) reset() {
	*b = batch{width: b.width, values: b.values[:0], lines: b.lines[:0], hashes: b.hashes[:0], text: b.text[:0], ends: b.ends[:0]}
}
func (b *batch) empty() bool { return b.rows() == 0 && len(b.bad) == 0 }

// What bounds a batch besides its number of records, and how many are under way at once: together
// they bound the memory of a migration.
const (
	batchBytes   = 1 << 20 // unless the destination's room says otherwise
	recordBytes  = 24      // what a batch keeps of each record besides
	batchTime    = 100 * time.Millisecond
	batchesAhead = 4
)

// producer reads, converts and hashes records in a goroutine of its own.
type producer struct {
	m    *migration
	st   *state // not changed here
	r    reader
	sink sink
	cast []func(value) value
	left int64 // records until the total
	// tail: what comes after the last of them is read too, for the records left out there.
	tail bool

	most    int // records of a batch
	room    *room
	limiter *rate.Limiter // nil: none
	hash    hasher

	// Of the short way; direct is nil where it is not to be had.
	cells  cellReader
	direct direct
	row    []value
}

// run sends batches until the end, an error, or the end of ctx. It returns io.EOF if the source ended
// before its time.
func (p *producer) run(ctx context.Context, free <-chan *batch, full chan<- *batch) error {
	for p.left > 0 || p.tail {
		var b *batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b.reset()
		err := p.fill(ctx, b)
		if err == io.EOF && p.left == 0 {
			p.tail, err = false, nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		b.at = p.r.position()
		if !b.empty() {
			select {
			case full <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill adds records to b until it is full.
func (p *producer) fill(ctx context.Context, b *batch) error {
	start, bytes, room := time.Now(), 0, p.room.now()
	for n := 1; (p.left > 0 || p.tail) && b.rows() < p.most && bytes < room; n++ {
		if (n%64 == 0 || p.limiter != nil) && (ctx.Err() != nil || time.Since(start) > batchTime) {
			return nil // run sees to ctx
		}
		if p.left > 0 && !p.pace(ctx) {
			return nil
		}
		err := p.next(b)
		var bad *rowError
		if errors.As(err, &bad) {
			if bad.line == 0 {
				bad.line = p.r.line()
			}
			b.bad = append(b.bad, bad)
			if len(b.bad) >= maxSkips {
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		b.lines = append(b.lines, p.r.line())
		b.hashes = append(b.hashes, p.hash.sum())
		bytes += len(p.hash.buf) + recordBytes
	}
	return nil
}

// next reads a record into b, and into the hasher as the destination will give it back.
func (p *producer) next(b *batch) error {
	if p.direct != nil {
		return p.nextCells(b)
	}
	from := len(b.values)
	for range b.width {
		b.values = append(b.values, nil)
	}
	row := b.values[from:]
	err := p.counted(b, p.r.read(row))
	if err == nil {
		err = p.convert(row)
	}
	if err != nil {
		p.keep(err, row)
		b.values = b.values[:from]
	}
	return err
}

// keep notes the values of a record that is left out, unless its text is known.
func (p *producer) keep(err error, row []value) {
	var bad *rowError
	if p.m.p.OnError == onErrorFile && errors.As(err, &bad) && bad.raw == nil {
		bad.keep(p.st.Columns, row)
	}
}

// counted enters a record that was read without an error.
func (p *producer) counted(b *batch, err error) error {
	if err != nil {
		return err
	}
	if p.left == 0 {
		return errSourceChanged(p.m.p.Source) // the survey has not seen it
	}
	p.left--
	b.read++
	return nil
}

// convert makes row what the destination takes, and the hasher's what it will give back.
func (p *producer) convert(row []value) error {
	p.hash.begin()
	for i, v := range row {
		if cast := p.cast[i]; cast != nil {
			v = cast(v)
		}
		v, err := p.sink.convert(v, i)
		if err != nil {
			var bad *rowError
			if errors.As(err, &bad) {
				bad.msg = "column " + p.st.Columns[i].Name + ": " + bad.msg
			}
			return err
		}
		row[i] = v
		p.hash.value(p.sink.normal(v))
	}
	return nil
}

// copy moves the records that are left.
func (m *migration) copy(ctx context.Context, st *state) error {
	r, err := m.source.open(ctx, sourceColumns(st.Columns), st.At)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // a reader
	inner, stop := context.WithCancel(ctx)
	p := &producer{m: m, st: st, r: r, sink: m.sink, left: st.Total - st.Read, most: m.p.batchSize(),
		limiter: m.p.limiter(), tail: !m.source.snapshot() && st.Total < m.p.limit()}
	for _, c := range st.Columns {
		p.cast = append(p.cast, m.source.caster(c))
	}
	p.shorten()
	p.room = newRoom(p.direct)
	free, full := make(chan *batch, batchesAhead), make(chan *batch, batchesAhead)
	for range batchesAhead {
		free <- &batch{width: len(st.Columns)}
	}
	ended := make(chan error, 1)
	// The state is the consumer's from here on: the producer gets a copy.
	seen := *st
	p.st = &seen
	go func() {
		ended <- p.run(inner, free, full)
		close(full)
	}()
	err = m.consume(ctx, st, free, full, p.room)
	stop()
	for range full { // let the producer go
	}
	if readErr := <-ended; err == nil && ctx.Err() == nil {
		err = readErr
	}
	return m.copied(ctx, st, err)
}

// consume writes batches until there are none, or ctx is done.
func (m *migration) consume(ctx context.Context, st *state, free chan<- *batch, full <-chan *batch, room *room) error {
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case b, more := <-full:
			if !more {
				return nil
			}
			start := time.Now()
			refused, err := m.take(ctx, st, b)
			if err != nil {
				return err
			}
			room.wrote(time.Since(start), refused > 0)
			free <- b
		}
		if m.p.BatchSize != nil || time.Since(last) >= m.commitEvery {
			if err := m.save(ctx, st); err != nil {
				return err
			}
			last = time.Now()
		}
		m.report(st, "", false)
	}
}

// take writes one batch and enters it in st. It returns how many records the destination refused.
func (m *migration) take(ctx context.Context, st *state, b *batch) (int, error) {
	if err := m.hook("write"); err != nil {
		return 0, err
	}
	refused, err := m.sink.write(ctx, b)
	if err != nil {
		return 0, err
	}
	bad := b.bad
	for _, r := range refused {
		if r.err.line = b.lines[r.row]; r.values == nil {
			r.values = b.row(r.row)
		}
		r.err.keep(st.Columns, r.values)
		bad = append(bad, r.err)
	}
	for _, e := range bad {
		if m.p.OnError == onErrorFail {
			return 0, e.fatal(m.p.Source)
		}
		if err := m.rejects.add(e); err != nil {
			return 0, err
		}
		m.j.Logf("skipped line %d: %s", e.line, e.msg)
		st.skip(e)
	}
	next := 0
	for i, hash := range b.hashes {
		if next < len(refused) && refused[next].row == i {
			next++
			continue
		}
		st.Done.add(hash)
	}
	st.Read += b.read
	st.At = b.at
	return len(refused), nil
}

// copied ends the copy: makes the last records durable whether it was complete or told to stop.
func (m *migration) copied(ctx context.Context, st *state, err error) error {
	switch {
	case err == io.EOF:
		return errSourceChanged(m.p.Source)
	case err != nil && !errors.Is(err, context.Cause(ctx)):
		return err
	case ctx.Err() != nil:
		if err := m.save(ctx, st); err != nil {
			return err
		}
		return context.Cause(ctx)
	}
	if !m.source.snapshot() {
		if err := m.unchanged(ctx, st); err != nil {
			return err
		}
	}
	st.Phase = phaseVerifying
	return m.save(ctx, st)
}
