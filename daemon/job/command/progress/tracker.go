// Package progress reads from what a program prints how far it is, so that a program need not be changed to be
// watched: percentages, n/m, the meters of tqdm, rsync, curl, wget, ninja, cmake and git, "Epoch i/n" with its metrics,
// and a pattern of the user's own. Lines of the file in DURABLE_PROGRESS, which a program writes on purpose, have the
// last word.
//
// # Design
//
// A number in a text is no progress: dates (11/24), results (3/4 tests), loads (cpu 42%). So a shape that only its
// own program prints counts at once; of the others a report is believed when it was seen three times at the same place
// in the same words with the same total, never went back, and went on twice. One that goes back three times is
// never looked at again.
//
// One source at a time is reported: the highest rank, then the one that is older, since an outer loop begins
// before the inner one. It gives way when it is done, or when another one has run to its end meanwhile without a word of it.
//
// Bytes go in, reports come out; there is neither a clock nor a file in here, which makes it testable with the real
// programs' output (testdata) and a fuzzer. Rejected: a table of patterns in the configuration (each user would
// have to find out what tqdm prints), and asking for a wrapper around the program.
package progress

import (
	"strings"

	"durable/ipc/task"
)

// Source is where bytes come from.
type Source int

// The sources: the two streams of a program, and the file that it writes on purpose.
const (
	Stdout Source = iota
	Stderr
	File
	sources
)

// rank orders the shapes by how much they say about the whole.
type rank int

const (
	rankPercent rank = iota
	rankCount
	rankBracket
	rankMeter
	rankEpoch
	rankCustom
	rankFile
)

// match is a line's claim to be a report.
type match struct {
	key  string // the place that it came from: reports of one key are compared
	rank rank
	sure bool // nobody else writes like that: one is enough
	at   float64
	p    task.Progress
}

func (m match) finished() bool { return m.p.Total != nil && m.p.Done >= *m.p.Total }

// candidate is what a key has shown so far.
type candidate struct {
	born  int
	at    float64
	seen  int
	rises int
	falls int
}

// Limits of a tracker's memory and patience.
const (
	maxCandidates = 64
	maxFalls      = 3
	enoughSeen    = 3
	enoughRises   = 2
)

// Tracker makes reports of bytes. It is used by one goroutine at a time.
type Tracker struct {
	custom *Pattern
	in     [sources]splitter
	rsync  rsync
	epochs epochs

	candidates map[string]*candidate
	births     int
	winner     string // key; empty: none
	best       match  // the winner's last report
	outlived   bool   // another one came to its end since the winner's last report
	fresh      bool   // Report has not been told of best
}

// New returns a Tracker. With a pattern of the user's own only that, and the file, make reports.
func New(custom *Pattern) *Tracker {
	return &Tracker{custom: custom, candidates: map[string]*candidate{}}
}

// Feed takes the next bytes of a source.
func (t *Tracker) Feed(s Source, b []byte) {
	t.in[s].feed(b, func(line string) { t.look(s, line, true) })
	if half := t.in[s].half(); half != "" {
		t.look(s, half, false)
	}
}

// Skip notes that bytes of a source were left out.
func (t *Tracker) Skip(s Source) { t.in[s].skip() }

// End takes the half lines for whole ones: nothing more comes.
func (t *Tracker) End() {
	for s := range sources {
		t.Feed(s, []byte{'\n'})
	}
}

// Report returns the last report, and whether it is news since the call before.
func (t *Tracker) Report() (p task.Progress, news bool) {
	news, t.fresh = t.fresh, false
	return t.best.p, news
}

// LastLine returns the last line of a source that is not blank, for a message.
func (t *Tracker) LastLine(s Source) string { return clean(t.in[s].lastLine()) }

// look makes offers of a line. Of half a line only what cannot become something else by going on is taken.
func (t *Tracker) look(s Source, line string, whole bool) {
	switch {
	case s == File:
		if m, ok := fileLine(line, t.best); ok && whole {
			t.offer(m)
		}
		return
	case t.winner != "" && t.best.rank == rankFile:
		return
	case t.custom != nil:
		if m, ok := t.custom.match(line); ok && whole {
			t.offer(m)
		}
		return
	}
	if !strings.ContainsAny(line, "%/:=") && !strings.Contains(line, " of ") {
		t.rsync.other(line, whole)
		return
	}
	prefix := [...]string{"o:", "e:"}[s]
	for _, m := range t.recognise(line, whole) {
		m.key = prefix + m.key
		t.offer(m)
	}
}

// recognise tries the shapes, the surest first.
func (t *Tracker) recognise(line string, whole bool) []match {
	if m, ok := t.epochs.match(line, whole); ok {
		return []match{m}
	}
	if m, ok := t.rsync.match(line); ok {
		return []match{m}
	}
	t.rsync.other(line, whole)
	for _, meter := range meters {
		if strings.Contains(line, meter.sign) {
			if m, ok := meter.read(line); ok {
				return []match{m}
			}
		}
	}
	if !whole {
		return nil
	}
	return counts(line)
}

// offer takes a match for the report if its shape has earned that.
func (t *Tracker) offer(m match) {
	c := t.candidates[m.key]
	if c == nil {
		t.makeRoom()
		t.births++
		c = &candidate{born: t.births, at: m.at}
		t.candidates[m.key] = c
	}
	if !t.earned(c, m) {
		return
	}
	if m.key != t.winner && t.winner != "" && !t.yields(c, m) {
		t.outlived = t.outlived || m.finished()
		return
	}
	t.winner, t.best, t.outlived, t.fresh = m.key, m, false, true
}

// earned counts m for its candidate and reports whether it is to be believed.
func (t *Tracker) earned(c *candidate, m match) bool {
	switch {
	case m.at < c.at && m.sure:
		t.births++
		c.born = t.births // it begins anew
	case m.at < c.at:
		c.falls++
		c.seen, c.rises = 0, 0
		if t.winner == m.key {
			t.winner = ""
		}
	case m.at > c.at:
		c.rises++
	}
	c.at = m.at
	c.seen++
	switch {
	case m.sure:
		return true
	case c.falls >= maxFalls:
		return false
	case m.rank == rankBracket:
		return c.rises >= 1
	}
	return c.seen >= enoughSeen && c.rises >= enoughRises
}

// yields reports whether the winner gives way to c.
func (t *Tracker) yields(c *candidate, m match) bool {
	if m.rank > t.best.rank || (t.best.finished() || t.outlived) && (m.rank == t.best.rank || !m.finished()) {
		return true
	}
	winner := t.candidates[t.winner]
	return m.rank == t.best.rank && winner != nil && c.born < winner.born
}

// makeRoom forgets what has not won, when there is too much of it.
func (t *Tracker) makeRoom() {
	if len(t.candidates) < maxCandidates {
		return
	}
	for key := range t.candidates {
		if key != t.winner {
			delete(t.candidates, key)
		}
	}
}
