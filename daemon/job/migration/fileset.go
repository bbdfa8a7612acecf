package migration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"durable/ipc/task"
)

// MaxFiles is how many files a pattern may match.
const MaxFiles = 10_000

// isPattern reports whether path names no file itself, but those that match it. A file that is called so wins.
func isPattern(path string) bool {
	if !strings.ContainsAny(path, "*?[") || isPostgres(path) {
		return false
	}
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// matching returns the files that match a pattern, in the order of their names. As in a shell, names with a dot in front are
// left out unless the pattern has it too; so are folders.
func matching(pattern string) ([]string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, task.Errorf(task.InvalidArgument, "source %s: not a pattern: %w", pattern, err).
			WithHint("* stands for any characters, ? for one, [a-z] for one of these")
	}
	hidden := strings.HasPrefix(filepath.Base(pattern), ".")
	found = slices.DeleteFunc(found, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir() || !hidden && strings.HasPrefix(filepath.Base(path), ".")
	})
	switch {
	case len(found) == 0:
		return nil, task.Errorf(task.FailedPrecondition, "source %s: no file matches", pattern).
			WithHint("check the path; it is a path of the machine on which the daemon runs")
	case len(found) > MaxFiles:
		return nil, task.Errorf(task.InvalidArgument, "source %s: %d files match, more than %d", pattern, len(found), MaxFiles).
			WithHint("start one migration for each part of them")
	}
	return found, nil
}

// checkFiles holds a pattern against the files that match it, and finds their format.
func (p *params) checkFiles() error {
	paths, err := matching(p.Source)
	if err != nil {
		return err
	}
	if err := p.checkApart(paths); err != nil {
		return err
	}
	var f format
	for _, path := range paths {
		q := *p
		q.Source = path
		if err := q.checkSource(); err != nil {
			return err
		}
		switch {
		case q.SourceFormat == formatSQLite:
			return task.Errorf(task.Unimplemented, "source %s: a SQLite database, of which a pattern cannot name several", path).
				WithHint("start one migration for each database")
		case f == "":
			f = q.SourceFormat
		case q.SourceFormat != f:
			return task.Errorf(task.InvalidArgument, "source %s: is %s, but %s is %s", path, q.SourceFormat, paths[0], f).
				WithHint("name files of one format only")
		}
	}
	p.SourceFormat = f
	return nil
}

// checkApart refuses a destination that would be a source as soon as it is there.
func (p *params) checkApart(paths []string) error {
	matches := false
	for _, name := range []string{p.Destination, p.Destination + ".x.part", rejectsPath(p.Destination), rejectsPath(p.Destination) + ".x.part"} {
		match, err := filepath.Match(p.Source, name)
		matches = matches || err == nil && match
	}
	if there, err := os.Stat(p.Destination); err == nil {
		for _, path := range paths {
			info, err := os.Stat(path)
			matches = matches || err == nil && os.SameFile(info, there)
		}
	}
	if matches {
		return task.Errorf(task.InvalidArgument, "destination %s: matches the pattern of the source, %s", p.Destination, p.Source).
			WithHint("name a destination elsewhere, or a narrower pattern")
	}
	return nil
}

// patternStem is what a table is called of which the source is a pattern: what comes before the first sign that stands for others.
func patternStem(pattern string) string {
	base := filepath.Base(pattern)
	return strings.TrimRight(base[:strings.IndexAny(base+"*", "*?[")], "-_. ")
}

// fileSet is a source of several files, one after the other in the order of their names.
type fileSet struct {
	pattern string
	of      func(path string) source
}

// newFileSet returns the source that p's pattern stands for; the format is known by now.
func newFileSet(p *params) *fileSet {
	return &fileSet{pattern: p.Source, of: func(path string) source {
		q := *p
		q.Source = path
		return newFile(&q)
	}}
}

func (s *fileSet) snapshot() bool                       { return false }
func (s *fileSet) caster(c column) func(value) value    { return s.of(s.pattern).caster(c) }
func (s *fileSet) sources() (paths []string, err error) { return matching(s.pattern) }

// fingerprint changes with each file, and with one that comes or goes.
func (s *fileSet) fingerprint() (fingerprint, error) {
	paths, err := s.sources()
	if err != nil {
		return fingerprint{}, err
	}
	var all fingerprint
	h := xxhash.New()
	for _, path := range paths {
		one, err := fileFingerprint(path)
		if err != nil {
			return all, err
		}
		all.Size += one.Size
		all.ModTime = max(all.ModTime, one.ModTime)
		var b []byte
		for _, n := range []uint64{uint64(len(path)), uint64(one.Size), uint64(one.ModTime), one.Ends} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		_, _ = h.Write(append(b, path...)) // a hash takes all
	}
	all.Ends = h.Sum64()
	return all, nil
}

// header returns the columns of the first file, once all others were found to have the same.
func (s *fileSet) header(ctx context.Context) ([]column, error) {
	paths, err := s.sources()
	if err != nil {
		return nil, err
	}
	var all []column
	for i, path := range paths {
		cols, err := s.of(path).header(ctx)
		switch {
		case err != nil || cols == nil:
			return nil, err
		case i == 0:
			all = cols
		default:
			if err := sameColumns(paths[0], all, path, cols); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// sameColumns refuses a file with other columns than the first. Their order does not matter: they are read by name.
func sameColumns(first string, want []column, path string, got []column) error {
	for _, c := range want {
		i := indexColumn(got, c.Name)
		if i < 0 || len(got) != len(want) {
			return task.Errorf(task.InvalidArgument, "source %s: its columns are %s, but those of %s are %s", path,
				list(columnNames(got)), filepath.Base(first), list(columnNames(want))).
				WithHint("leave that file out of the pattern, or mend it")
		}
		if got[i].Type != c.Type {
			return task.Errorf(task.InvalidArgument, "source %s: the column %q is %s, but in %s it is %s", path,
				c.Name, got[i].Type, filepath.Base(first), c.Type).
				WithHint("leave that file out of the pattern, or write it with the same type")
		}
	}
	return nil
}

// survey looks at all files. A type is one that suits them all.
func (s *fileSet) survey(ctx context.Context, o surveyOptions) (survey, error) {
	paths, err := s.sources()
	if err != nil {
		return survey{}, err
	}
	var all survey
	bad, tick, limit := o.bad, o.tick, o.limit
	o.known = new(knowledge)
	for i, path := range paths {
		o.tick = func(n int64) { tick(all.Records + n) }
		o.bad = func(e *rowError) error {
			if bad == nil {
				return nil
			}
			return bad(inFile(e, path))
		}
		o.limit, o.last = limit-all.Records, i == len(paths)-1
		found, err := s.of(path).survey(ctx, o)
		if err != nil {
			return all, err
		}
		if all.Columns != nil { // in the order of the first file
			found.Columns, err = pick(found.Columns, columnNames(all.Columns), path)
		}
		if err != nil {
			return all, err
		}
		all.Columns = found.Columns
		all.Records += found.Records
	}
	return all, nil
}

// knowledge is what a survey of several files has learned before it comes to the next.
type knowledge struct {
	types map[string]inference
	keys  *keySurvey
}

// begin gives the columns the types that they had so far.
func (k *knowledge) begin(cols []column, types []inference) {
	if k == nil {
		return
	}
	for i, c := range cols {
		if t, ok := k.types[c.Name]; ok {
			types[i] = t
		}
	}
}

func (k *knowledge) end(cols []column, types []inference) {
	if k == nil {
		return
	}
	k.types = map[string]inference{}
	for i, c := range cols {
		k.types[c.Name] = types[i]
	}
}

func (s *fileSet) open(ctx context.Context, cols []column, at position) (reader, error) {
	paths, err := s.sources()
	if err != nil {
		return nil, err
	}
	if at.File >= len(paths) {
		return nil, errSourceChanged(s.pattern)
	}
	r := &fileSetReader{ctx: ctx, set: s, paths: paths, cols: cols, file: at.File}
	at.File = 0
	r.reader, err = s.of(paths[r.file]).open(ctx, cols, at)
	return r, err
}

// fileSetReader reads one file after the other.
type fileSetReader struct {
	reader
	ctx   context.Context // of open: the next file is opened on the way
	set   *fileSet
	paths []string
	cols  []column
	file  int
}

func (r *fileSetReader) read(row []value) error {
	for {
		err := r.reader.read(row)
		var bad *rowError
		if errors.As(err, &bad) {
			if bad.line == 0 {
				bad.line = r.line()
			}
			return inFile(bad, r.paths[r.file])
		}
		if err != io.EOF || r.file == len(r.paths)-1 {
			return err
		}
		next, err := r.set.of(r.paths[r.file+1]).open(r.ctx, r.cols, position{})
		if err != nil {
			return err
		}
		_ = r.reader.close() // nothing was written
		r.reader = next
		r.file++
	}
}

func (r *fileSetReader) position() position {
	at := r.reader.position()
	at.File = r.file
	return at
}

// inFile says in which file the line is.
func inFile(e *rowError, path string) *rowError {
	named := *e
	named.msg = fmt.Sprintf("%s: %s", filepath.Base(path), e.msg)
	return &named
}
