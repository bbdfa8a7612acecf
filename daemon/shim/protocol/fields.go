package protocol

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// fields are those of a file that was read. What is missing, or of another type, is zero.
type fields map[string]value

// parse reads an object with a version that we know.
func parse(data []byte) (fields, error) {
	f, err := parseObject(data)
	switch v := fields(f).number("version"); {
	case err != nil:
		return nil, ErrCorrupt
	case v > Version:
		return f, ErrNewer
	case v < 1:
		return nil, ErrCorrupt
	}
	return f, nil
}

func (f fields) text(name string) string { return f[name].text }

func (f fields) list(name string) []string {
	if f[name].kind != kindList {
		return nil
	}
	return f[name].list
}

func (f fields) number(name string) int64 { return f[name].number }
func (f fields) flag(name string) bool    { return f[name].number == 1 && f[name].kind == kindBool }

func (f fields) int(name string) int {
	if n := f[name].number; n >= math.MinInt32 && n <= math.MaxInt32 {
		return int(n)
	}
	return 0
}

func (f fields) process() Process { return Process{f.int("pid"), f.text("start")} }

// group is optional: builds before it, and systems without, write none.
func (f fields) group() Group { return Group{f.text("cgroup"), f.number("cgroup_id")} }

func (o *object) group(g Group) {
	o.text("cgroup", g.Path)
	o.number("cgroup_id", g.ID)
}

// instant sets err for a time that is none.
func (f fields) instant(name string, err *error) time.Time {
	s := f.text(name)
	if s == "" {
		return time.Time{}
	}
	t, bad := time.Parse(time.RFC3339Nano, s)
	if bad != nil && *err == nil {
		*err = ErrCorrupt
	}
	return t.UTC()
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Command is what a daemon tells a holder.
type Command struct {
	// Stop ends the program with all of its tree, Grace after it was asked to leave; else there is new input.
	Stop  bool
	Grace time.Duration
}

// Append encodes c: one line.
func (c Command) Append() []byte {
	if !c.Stop {
		return []byte("stdin\n")
	}
	return append(strconv.AppendInt([]byte("stop "), c.Grace.Milliseconds(), 10), '\n')
}

// ParseCommand decodes a line without its newline. What an older holder does not know it ignores.
func ParseCommand(line string) (c Command, ok bool) {
	if line == "stdin" {
		return Command{}, true
	}
	n, ok := strings.CutPrefix(line, "stop ")
	ms, err := strconv.ParseInt(n, 10, 64)
	if !ok || err != nil || ms < 0 {
		return Command{}, false
	}
	return Command{Stop: true, Grace: time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond}, true
}
