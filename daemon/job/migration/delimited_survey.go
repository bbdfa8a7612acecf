package migration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// survey counts the records and finds the types of the columns. The halves of a large file are surveyed side by side.
// That the second begins where it does, behind some newline, is a guess, wrong inside a field of several lines. It is
// right, and counts, if a record of the first half ends exactly there: what comes before a record means nothing to it.
// Otherwise the first half goes on to the end.
func (s *delimitedSource) survey(ctx context.Context, o surveyOptions) (survey, error) {
	r, err := s.start()
	if err != nil {
		return survey{}, err
	}
	defer func() { _ = r.close() }() // nothing was written
	cols, err := pick(r.all, o.columns, s.path)
	if err != nil {
		return survey{}, err
	}
	first := newSurveyPart(r, cols, o)
	o.known.begin(cols, first.types)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	second, middle := s.secondHalf(inner, first, o)
	if second == nil {
		err = first.run(ctx, o, -1)
	} else {
		err = first.runBeside(ctx, o, second, middle, cancel)
	}
	o.known.end(cols, first.types)
	return survey{Columns: first.typed(o), Records: first.records}, err
}

// surveyPart is the survey of a part of a file.
type surveyPart struct {
	r       *delimitedReader
	cols    []column
	index   []int // of each column in a record
	types   []inference
	records int64

	// Of a second half: its bad records until they are reported, and what ended it, which counts only if it is nil.
	bad   []*rowError
	err   error
	ended chan struct{}
}

func newSurveyPart(r *delimitedReader, cols []column, o surveyOptions) *surveyPart {
	p := &surveyPart{r: r, cols: cols, index: make([]int, len(cols)), types: make([]inference, len(cols))}
	for i, c := range cols {
		p.index[i], p.types[i].rich = indexColumn(r.all, c.Name), o.rich
	}
	return p
}

// run goes on to an offset; -1: to the end.
func (p *surveyPart) run(ctx context.Context, o surveyOptions, to int64) error {
	return eachRecord(ctx, o, &p.records, func() error {
		if to >= 0 && p.r.offset() >= to {
			return io.EOF
		}
		fields, err := p.r.record()
		if err != nil || !o.types {
			return err
		}
		for i, at := range p.index {
			p.types[i].cell(fields[at])
		}
		return nil
	})
}

// typed gives the columns the types that were found.
func (p *surveyPart) typed(o surveyOptions) []column {
	for i := range p.cols {
		p.cols[i].Type = p.types[i].typ
		if o.types && p.cols[i].Type == typeNone {
			p.cols[i].Type = typeText
		}
	}
	return p.cols
}

const (
	halvedSize = 8 << 20 // of a file that is surveyed in halves
	maxKeptBad = 1000    // bad records of a second half; with more it gives up
)

var errTooManyBad = errors.New("too many bad records to keep")

// secondHalf begins to survey the second half of a file; nil: it has none that could be begun with.
func (s *delimitedSource) secondHalf(ctx context.Context, first *surveyPart, o surveyOptions) (*surveyPart, int64) {
	if first.r.packed || o.limit < MaxRecordCount {
		return nil, 0 // in a compressed file the way to the middle is as long as the survey
	}
	middle := middleOf(s.path)
	if middle <= first.r.offset() {
		return nil, 0
	}
	r, err := s.openAt(position{Offset: middle})
	if err != nil {
		return nil, 0
	}
	r.all, r.width = first.r.all, first.r.width
	p := newSurveyPart(r, first.cols, o)
	p.ended = make(chan struct{})
	o.bad = func(e *rowError) error {
		if len(p.bad) == maxKeptBad {
			return errTooManyBad
		}
		p.bad = append(p.bad, &rowError{line: e.line, msg: e.msg})
		return nil
	}
	o.tick = func(int64) {}
	go func() {
		defer close(p.ended)
		p.err = errors.Join(p.run(ctx, o, -1), r.close())
	}()
	return p, middle
}

// runBeside surveys up to the middle, where the second half may have begun.
func (p *surveyPart) runBeside(ctx context.Context, o surveyOptions, second *surveyPart, middle int64, cancel func()) error {
	err := p.run(ctx, o, middle)
	if err != nil || p.r.offset() != middle {
		cancel()
	}
	<-second.ended
	switch {
	case err != nil:
		return err
	case p.r.offset() != middle || second.err != nil:
		return p.run(ctx, o, -1)
	}
	before := p.r.position().Line
	for _, e := range second.bad {
		e.line += before
		if err := o.bad(e); err != nil {
			return err
		}
	}
	p.records += second.records
	for i := range p.types {
		p.types[i].merge(second.types[i])
	}
	return nil
}

// merge makes in what it would be, had it seen what o has seen too.
func (in *inference) merge(o inference) {
	switch {
	case o.typ == typeNone:
	case o.typ == typeInteger && o.big:
		in.text("9007199254740993")
	case o.typ == typeInteger:
		in.text("1")
	case o.typ == typeReal && o.exp:
		in.text("1e+21")
	case o.typ == typeReal:
		in.text("2.5")
	case o.typ == typeDecimal:
		in.text("1.50")
	case o.typ == typeBoolean:
		in.text("true")
	default:
		in.typ = typeText
	}
}

// middleOf returns an offset behind a newline about the middle of a large file; 0: there is none.
func middleOf(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // a reader
	info, err := f.Stat()
	if err != nil || info.Size() < halvedSize {
		return 0
	}
	buf := make([]byte, readBuffer)
	n, err := f.ReadAt(buf, info.Size()/2)
	if err != nil {
		return 0
	}
	return info.Size()/2 + int64(bytes.IndexByte(buf[:n], '\n')) + 1
}
